import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { assetsFolder } from './helpers/kube/assets.ts';
import { netnsUnavailable } from './helpers/netns/netns.ts';
import { ROOT } from './helpers/unit/root.ts';

/**
 * `make test`: every tier that can run here, or those that are named, a line each. `--demand`: a tier that cannot run is a
 * failure. Tests run from source; the lab runs what tsc has put into build/, since its nodes may be emulated and slow.
 */

interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

interface Tier {
  readonly name: string;
  readonly argv: readonly string[];
  /** Why it cannot run here, if it cannot. */
  readonly unavailable: string | undefined;
  readonly count: (output: string) => Counts;
}

const BIN = join(ROOT, 'node_modules/.bin');

function countTap(output: string): Counts {
  const lines = output.split('\n');
  const skipped = lines.filter((line) => /^ok .* # (SKIP|TODO)/.test(line)).length;
  const passed = lines.filter((line) => /^ok /.test(line)).length - skipped;
  return { passed, failed: lines.filter((line) => /^not ok /.test(line)).length, skipped };
}

/** The lab's own lines: `14 passed, 0 failed in 99.5 s`. */
function countLab(output: string): Counts {
  const totals = [...output.matchAll(/(\d+) passed, (\d+) failed in/g)];
  const sum = (index: number): number => totals.reduce((total, match) => total + Number(match[index]), 0);
  return { passed: sum(1), failed: sum(2), skipped: 0 };
}

const noNetns = await netnsUnavailable();
const kubeAssets = assetsFolder();
const avaWith = (concurrency: number): string[] => [
  join(BIN, 'ava'),
  '--tap',
  `--concurrency=${concurrency}`,
];
const ava = avaWith(2);
const tiers: readonly Tier[] = [
  {
    name: 'unit',
    argv: [
      ...[join(BIN, 'c8'), '--reporter=text-summary', '--include=src/**', '--include=bin/**'],
      ...['npm', 'run', '--silent', 'unit', '--', '--tap', '--concurrency=2'],
    ],
    unavailable: undefined,
    count: countTap,
  },
  { name: 'netns', argv: [...ava, 'test/netns/**/*.test.ts'], unavailable: noNetns, count: countTap },
  {
    name: 'apiserver',
    // An API server to a file, and figures to keep: one file at a time.
    argv: [...avaWith(1), 'test/apiserver/**/*.test.ts'],
    unavailable: 'why' in kubeAssets ? kubeAssets.why : undefined,
    count: countTap,
  },
  {
    name: 'image',
    argv: [...avaWith(1), 'test/image/**/*.test.ts'],
    unavailable: undefined,
    count: countTap,
  },
  {
    name: 'cluster',
    argv: [process.execPath, 'build/test/lab/run.js', 'tier.js'],
    unavailable: noNetns,
    count: countLab,
  },
  {
    name: 'leaks',
    // The rows that go by what is on the wire alone, whatever the machine is doing; make leaks has the rest.
    argv: [process.execPath, 'build/test/lab/run.js', 'leaks/leaks.js', '1b', '5b', '7', '8c', '10c', '12b'],
    unavailable: noNetns,
    count: countLab,
  },
];

const demand = process.argv.includes('--demand');
const only = process.argv.slice(2).filter((word) => !word.startsWith('--'));
const total = { passed: 0, failed: 0, skipped: 0 };
for (const tier of tiers.filter(({ name }) => only.length === 0 || only.includes(name))) {
  const counts = runTier(tier);
  total.passed += counts.passed;
  total.failed += counts.failed;
  total.skipped += counts.skipped;
  const text = `${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`;
  process.stdout.write(`tier ${tier.name}: ${text}\n`);
}
process.stdout.write(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped\n`);
process.exitCode = total.failed > 0 || total.passed === 0 || (demand && total.skipped > 0) ? 1 : 0;

function runTier({ name, argv, unavailable, count }: Tier): Counts {
  if (unavailable !== undefined) {
    process.stdout.write(`\n!!! SKIPPED: tier ${name} cannot run here: ${unavailable}\n\n`);
    return { passed: 0, failed: 0, skipped: 1 };
  }
  const [file = '', ...args] = argv;
  const result = spawnSync(file, args, {
    cwd: ROOT,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    env: { ...process.env, PATH: `${BIN}:${process.env.PATH}` },
  });
  const output = `${result.stdout}\n${result.stderr}`;
  const counts = count(result.stdout);
  const crashed = result.status !== 0 && counts.failed === 0;
  if (result.status !== 0 || counts.passed === 0) {
    process.stdout.write(`${output}\n`);
  }
  if (counts.skipped > 0) {
    const lines = output.split('\n').filter((line) => /SKIP/.test(line));
    process.stdout.write(`\n!!! SKIPPED in tier ${name}:\n${lines.join('\n')}\n\n`);
  }
  return crashed || counts.passed + counts.failed === 0 ? { ...counts, failed: counts.failed + 1 } : counts;
}
