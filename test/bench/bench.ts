import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { cpus, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { keepThresholds } from '../../src/agent/host/hash-thresholds.ts';
import { IPAM_NAME } from '../../src/ipam/name.ts';
import { planAttachment } from '../../src/ipsec/plan/plan.ts';
import type { Iproute2 } from '../../src/ipsec/xfrm/iproute2.ts';
import { listPolicies, ownPolicies } from '../../src/ipsec/xfrm/kernel.ts';
import { addPolicies } from '../../src/ipsec/xfrm/write/apply.ts';
import { heartbeatPath } from '../../src/rundir/paths.ts';
import { writeNodeCache } from '../../src/rundir/write.ts';
import { createNamespace, IP, type Namespace } from '../helpers/netns/netns.ts';
import { ROOT } from '../helpers/unit/root.ts';
import { agentUnderChurn } from './agent.ts';
import { benchCache, createCases, largeNode } from './cases.ts';
import { forwarding } from './forwarding.ts';
import { crowdedRows, type Row, renderMarkdown, rowsOf, verdict } from './report.ts';
import { maxRss, type RoundOptions, runRounds, type TimedCall } from './rounds.ts';
import { table } from './table.ts';

/**
 * `make bench`: trapline beside Go plugins, what its policies cost other packets, and its agent in a large cluster; all in throwaway
 * namespaces. `make bench PARTS=forwarding` is that part alone; the others' figures stay. Fails only if a call fails.
 */

/** Of docs/benchmarks.json. */
interface Part {
  readonly date: string;
  readonly rows: readonly Row[];
}

const PARTS: Readonly<Record<string, (folder: string) => Promise<readonly Row[] | undefined>>> = {
  calls,
  table,
  forwarding,
  agent: agentUnderChurn,
};
const ROUNDS = { small: 40, bursts: 8, scale: 10 } as const;
const JSON_PATH = join(ROOT, 'docs/benchmarks.json');

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => PARTS[name] === undefined);
if (unknown.length > 0) {
  throw new Error(`${unknown.join(', ')}: not one of ${Object.keys(PARTS).join(', ')}`);
}
// The run directory of a node is on a tmpfs; a disk would cost every record an fsync.
const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'trapline-bench-'));
try {
  const parts: Record<string, Part> = existsSync(JSON_PATH)
    ? JSON.parse(readFileSync(JSON_PATH, 'utf8')).parts
    : {};
  for (const [name, measure] of Object.entries(PARTS)) {
    const rows = asked.length === 0 || asked.includes(name) ? await measure(folder) : undefined;
    if (rows !== undefined) {
      parts[name] = { date: new Date().toISOString().slice(0, 10), rows };
    }
  }
  const done = Object.keys(PARTS).flatMap((name) => parts[name] ?? []);
  const rows = done.flatMap((part) => part.rows);
  const dates = [...new Set(done.map(({ date }) => date))].join(', ');
  const text = renderMarkdown(rows, { date: dates, ...facts() });
  writeFileSync(join(ROOT, 'docs/benchmarks.md'), text);
  writeFileSync(JSON_PATH, `${JSON.stringify({ facts: facts(), parts }, null, 2)}\n`);
  process.stdout.write(text);
  const missed = rows.filter((row) => verdict(row) === 'missed');
  process.stdout.write(missed.length === 0 ? '\nevery target met\n' : `\n${missed.length} targets missed\n`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function calls(): Promise<Row[]> {
  const node = await createNamespace('bench');
  const pod = await createNamespace('bench-pod');
  try {
    await node.ip('link', 'add', 'veth0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', pod.name);
    return await measureCalls(node, pod);
  } finally {
    await pod.remove();
    await node.remove();
  }
}

async function measureCalls({ run }: Namespace, { path: podNetns }: Namespace): Promise<Row[]> {
  const [runDir, largeRunDir] = [join(folder, 'run'), join(folder, 'run-1000')];
  for (const [dir, peers] of [
    [runDir, 3],
    [largeRunDir, 1_000],
  ] as const) {
    writeNodeCache(dir, benchCache(peers));
    const heartbeat = {
      at: Date.now() + 3_600_000,
      pid: process.pid,
      version: 'bench',
      charonError: '',
      sourceError: '',
    };
    writeFileSync(
      heartbeatPath(dir),
      JSON.stringify({
        ...heartbeat,
        enforcedGeneration: 1,
        reconcileError: '',
        hairpinError: '',
        problems: [],
      }),
    );
  }
  // As the agent leaves it.
  await keepThresholds({ run, ip: IP }, { runDir, cache: benchCache(1_000) });
  const dist = join(ROOT, 'pkg/dist');
  const ipam = join(folder, IPAM_NAME);
  symlinkSync(join(dist, 'trapline'), ipam);
  const cases = createCases({
    trapline: join(dist, 'trapline'),
    floor: join(dist, 'bench-floor'),
    runDir,
    largeRunDir,
    podNetns,
    ipam,
    dataDir: join(folder, 'networks'),
  });
  const options = { folder, run };
  const count = async (): Promise<number> => ownPolicies(await listPolicies({ run, ip: IP })).length;
  const expect = async (call: TimedCall, policies: number): Promise<number> => {
    const rss = await maxRss(call, options);
    const found = await count();
    if (found !== policies) {
      throw new Error(`${call.env?.CNI_COMMAND}: ${found} policies in the kernel, not ${policies}`);
    }
    return rss;
  };
  // 3 peers x (3 ports + ICMP), out and fwd.
  const rss: Row[] = [
    { what: 'memory of ADD, protected', median: await expect(cases.add, 24), target: 64 },
    { what: 'memory of DEL, protected', median: await expect(cases.del, 0), target: 64 },
    { what: 'memory of STATUS', median: await expect(cases.status, 0), target: 64 },
  ];
  const { large, largePolicies } = cases;
  const largeRss: Row[] = [
    { what: 'memory of ADD, 1,000 peers', median: await expect(large.add, largePolicies) },
    { what: 'memory of DEL, 1,000 peers', median: await expect(large.del, 0) },
  ];
  const small = await runRounds(cases.small, { ...options, rounds: ROUNDS.small, warmUp: 3 });
  const bursts = await runRounds(cases.bursts, { ...options, rounds: ROUNDS.bursts, warmUp: 1 });
  const scale = await runRounds(cases.scale, { ...options, rounds: ROUNDS.scale, warmUp: 1 });
  if ((await count()) !== 0) {
    throw new Error('policies were left in the kernel');
  }
  const others = await layOthers({ run, ip: IP });
  const crowd = `among ${others.toLocaleString('en')} policies`;
  const strand = [
    { ...cases.add, name: `ADD, protected, ${crowd}` },
    { ...cases.del, name: `DEL, protected, ${crowd}` },
  ];
  const crowded = await runRounds([strand], { ...options, rounds: ROUNDS.scale, warmUp: 1 });
  return [
    ...rowsOf(small, bursts, scale),
    ...crowdedRows(crowded, small),
    ...rss,
    { what: `memory of DEL, protected, ${crowd}`, median: await rssOfDel(cases, options), target: 64 },
    ...largeRss,
  ];
}

/** What the agent lays for the other pods of a busy node. Resolves to the number of policies. */
async function layOthers(iproute2: Iproute2): Promise<number> {
  const { cache, attachments } = largeNode(12);
  const policies = attachments.slice(1).flatMap((attachment) => planAttachment(cache, attachment));
  await addPolicies(iproute2, policies);
  return policies.length;
}

async function rssOfDel(
  { add, del }: Pick<ReturnType<typeof createCases>, 'add' | 'del'>,
  options: Pick<RoundOptions, 'folder' | 'run'>,
): Promise<number> {
  await maxRss(add, options);
  return await maxRss(del, options);
}

function facts(): Record<string, string> {
  const say = (file: string, ...args: string[]): string => {
    const { stdout } = spawnSync(file, args, {
      encoding: 'utf8',
      env: { CNI_COMMAND: 'VERSION', PATH: '/usr/bin:/bin' },
    });
    return stdout.trim().split('\n')[0] ?? '';
  };
  const pkg = JSON.parse(readFileSync(join(ROOT, 'node_modules/@yao-pkg/pkg/package.json'), 'utf8')) as {
    version: string;
  };
  return {
    machine: `${cpus().length} x ${cpus()[0]?.model.trim()}, kernel ${release()}`,
    'Node, pkg': `${process.version}, ${pkg.version}`,
    iproute2: say(IP, '-V').replace('ip utility, ', ''),
    rounds: JSON.stringify(ROUNDS),
    'Go plugins': say('/usr/bin/dpkg-query', '-W', 'containernetworking-plugins').replace('\t', ' '),
  };
}
