import { writeFileSync } from 'node:fs';
import { destroyLab } from '../lab/lab.ts';
import { daemonRows } from './rows/daemons.ts';
import { icmpRows } from './rows/icmp.ts';
import { mtuRows } from './rows/mtu.ts';
import { nodeRows } from './rows/nodes.ts';
import { overlayRows } from './rows/overlay.ts';
import { podRows } from './rows/pods.ts';
import { saRows } from './rows/sas.ts';
import { formatOutcome, type Outcome, type Row, runRow } from './table.ts';
import { createWorld, type WorldOptions } from './world.ts';

/** Rows that share three nodes. */
interface Chapter {
  readonly world: WorldOptions;
  readonly rows: readonly Row[];
}

const POLICY = 'ipsecpolicy-kube-dns-sample.yaml';
const CHAPTERS: readonly Chapter[] = [
  {
    world: { policy: POLICY },
    rows: [...podRows, ...daemonRows, ...nodeRows, ...saRows, ...icmpRows, ...mtuRows, ...overlayRows],
  },
];

/** `leaks.js [<row> …]`: the leak table, or some of its rows. Results go to the file in TRAPLINE_RESULTS as well. */
const only = process.argv.slice(2).filter((word) => !word.startsWith('--'));
const outcomes: Outcome[] = [];
for (const { world: options, rows } of CHAPTERS) {
  const wanted = rows.filter(({ id }) => only.length === 0 || only.some((word) => id.startsWith(word)));
  if (wanted.length === 0) {
    continue;
  }
  const world = await createWorld(options);
  try {
    for (const row of wanted) {
      const outcome = await runRow(world, row);
      outcomes.push(outcome);
      process.stdout.write(`${formatOutcome(outcome)}\n`);
    }
  } finally {
    for (const daemon of world.daemons.values()) {
      await daemon.stop('SIGKILL');
    }
    await destroyLab(world.lab);
  }
}
const failed = outcomes.filter(({ ok }) => !ok).length;
process.stdout.write(`${outcomes.length - failed} passed, ${failed} failed in the leak table\n`);
if (process.env.TRAPLINE_RESULTS !== undefined) {
  writeFileSync(process.env.TRAPLINE_RESULTS, JSON.stringify(outcomes));
}
process.exit(failed === 0 ? 0 : 1);
