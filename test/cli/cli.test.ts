import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { runCli } from '../../src/cli/program.ts';
import { planPolicies } from '../../src/ipsec/plan/plan.ts';
import { addPolicies } from '../../src/ipsec/xfrm/write/apply.ts';
import type { Attachment } from '../../src/rundir/attachment.ts';
import { writeAttachment } from '../../src/rundir/attachments.ts';
import type { Heartbeat } from '../../src/rundir/heartbeat.ts';
import { heartbeatPath, unguardedPath } from '../../src/rundir/paths.ts';
import type { NodeCache } from '../../src/rundir/schema.ts';
import { writeNodeCache } from '../../src/rundir/write.ts';
import { corednsAttachment, seedCache } from '../helpers/unit/cache.ts';
import { createFakeKernel, type FakeKernel } from '../helpers/unit/fake-kernel.ts';
import { golden } from '../helpers/unit/root.ts';

const NOW = 1_700_000_003_000;
const UPTIME = 5_000_000;
const record: Attachment = {
  schema: 1,
  containerId: 'c1',
  ifName: 'eth0',
  netns: '/run/netns/c1',
  network: 'pods',
  createdAt: 1,
  policies: [],
  ...corednsAttachment,
};
const heartbeat: Heartbeat = {
  at: NOW - 1_000,
  pid: 42,
  version: '0.1.0',
  charonError: '',
  sourceError: '',
  enforcedGeneration: 1,
  reconcileError: '',
  hairpinError: '',
  problems: [],
};

interface Node {
  readonly runDir: string;
  readonly kernel: FakeKernel;
}

/** A node in step: what every case then breaks in one place. */
async function healthyNode(t: ExecutionContext, cache: NodeCache = seedCache()): Promise<Node> {
  const runDir = mkdtempSync(join(tmpdir(), 'traplinectl-'));
  t.teardown(() => rmSync(runDir, { recursive: true, force: true }));
  writeNodeCache(runDir, cache);
  writeAttachment(runDir, record);
  beat(runDir, {});
  const kernel = createFakeKernel();
  await addPolicies({ run: kernel.run, ip: '/ip' }, planPolicies(cache, [record]));
  return { runDir, kernel };
}

function beat(runDir: string, change: Partial<Heartbeat>): void {
  writeFileSync(heartbeatPath(runDir), JSON.stringify({ ...heartbeat, ...change }));
}

async function ctl({ runDir, kernel }: Node, ...argv: string[]) {
  let [stdout, stderr] = ['', ''];
  const exitCode = await runCli([...argv, '--run-dir', runDir], {
    run: kernel.run,
    ip: '/ip',
    now: () => NOW,
    uptime: () => UPTIME,
    sleep: async () => undefined,
    stdout: (text) => {
      stdout += text;
    },
    stderr: (text) => {
      stderr += text;
    },
    version: '0.1.0',
  });
  return { exitCode, stdout: stdout.replaceAll(runDir, '<runDir>'), stderr };
}

type Break = (node: Node) => void;

const matchesGolden = test.macro({
  exec: async (t, file: string, argv: readonly string[], exitCode: number, change: Break) => {
    const node = await healthyNode(t);
    change(node);
    const answer = await ctl(node, ...argv);
    const path = golden(`cli/golden/${file}`);
    if (process.env.UPDATE_GOLDENS === '1') {
      writeFileSync(path, answer.stdout);
    }
    t.is(answer.stdout, readFileSync(path, 'utf8'));
    t.is(answer.exitCode, exitCode);
  },
  title: (_, file) => `golden: ${file}`,
});

const nothing = (): void => undefined;
const dropFirst: Break = ({ kernel }) => void kernel.table.delete([...kernel.table.keys()][0] ?? '');
const dropCoredns: Break = ({ kernel }) => {
  for (const key of [...kernel.table.keys()].filter((k) => k.includes('src 172.16.166.178/32'))) {
    kernel.table.delete(key);
  }
};

test(matchesGolden, 'status-healthy.txt', ['status'], 0, nothing);
test(matchesGolden, 'status-missing.txt', ['status'], 1, dropFirst);
test(matchesGolden, 'status-no-cache.txt', ['status'], 1, ({ runDir }) => rmSync(join(runDir, 'node.json')));
test(matchesGolden, 'explain-protected.txt', ['explain', 'kube-system/coredns-1'], 0, nothing);
test(matchesGolden, 'explain-lacking.txt', ['explain', 'kube-system/coredns-1'], 1, dropCoredns);
test(matchesGolden, 'explain-client.txt', ['explain', 'default/client'], 0, nothing);
test(matchesGolden, 'explain-unknown.txt', ['explain', 'default/nobody'], 1, nothing);
test(matchesGolden, 'policies.txt', ['policies'], 0, nothing);

const unhealthy = test.macro({
  exec: async (t, part: string, problem: RegExp, change: Break) => {
    const node = await healthyNode(t);
    change(node);
    const { exitCode, stdout } = await ctl(node, 'status', '-o', 'json');
    t.is(exitCode, 1);
    const bad = (JSON.parse(stdout) as { parts: { name: string; problem: string }[] }).parts.filter(
      (candidate) => candidate.problem !== '',
    );
    t.deepEqual(
      bad.map(({ name }) => name),
      [part],
    );
    t.regex(bad[0]?.problem ?? '', problem);
  },
  title: (title, part) => `status: ${part}: ${title ?? ''}`,
});

test('silent', unhealthy, 'agent', /silent for 21 s/, ({ runDir }) => beat(runDir, { at: NOW - 21_000 }));
test('away', unhealthy, 'charon', /refused/, ({ runDir }) => beat(runDir, { charonError: 'refused' }));
test('stale', unhealthy, 'source', /half/, ({ runDir }) => beat(runDir, { sourceError: 'half a file' }));
test('behind', unhealthy, 'reconcile', /0 of 1/, ({ runDir }) => beat(runDir, { enforcedGeneration: 0 }));
test('nft away', unhealthy, 'hairpin', /no nft/, ({ runDir }) => beat(runDir, { hairpinError: 'no nft' }));
test('refused', unhealthy, 'objects', /Node b: x/, ({ runDir }) => beat(runDir, { problems: ['Node b: x'] }));
test('of another boot', unhealthy, 'cache', /nothing has been enforced on this node/, ({ runDir }) =>
  writeNodeCache(runDir, seedCache({ bootId: 'other' })),
);
test('unguarded', unhealthy, 'cache', /nft table .*: no nft/, ({ runDir }) =>
  writeFileSync(unguardedPath(runDir), 'no nft'),
);
test('silent by the clock that nobody can set', unhealthy, 'agent', /silent for 21 s/, ({ runDir }) =>
  beat(runDir, { at: NOW + 3_600_000, uptimeMs: UPTIME - 21_000 }),
);
test('old', unhealthy, 'cache', /older than 600 s/, ({ runDir }) =>
  writeNodeCache(runDir, seedCache({ writtenAt: NOW - 600_001 })),
);
test('broken', unhealthy, 'attachments', /x\.json: not JSON/, ({ runDir }) =>
  writeFileSync(join(runDir, 'attachments/x.json'), '{'),
);
test('unreadable', unhealthy, 'policies', /no root/, ({ kernel }) => {
  kernel.throws = new Error('no root');
});

const usage = test.macro({
  exec: async (t, argv: readonly string[], said: RegExp) => {
    const { exitCode, stderr } = await ctl(await healthyNode(t), ...argv);
    t.is(exitCode, 2);
    t.regex(stderr, said);
  },
  title: (_, argv: readonly string[]) => `usage: ${argv.join(' ')}`,
});

test(usage, ['explain', 'coredns-1'], /"coredns-1" is not <namespace>\/<pod>/);
test(usage, ['status', '-o', 'yaml'], /text, json/);
test(usage, ['nonsense'], /unknown command/);
