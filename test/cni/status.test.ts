import { writeFileSync } from 'node:fs';
import test from 'ava';
import { HEARTBEAT_STALE_MS, type Heartbeat } from '../../src/rundir/heartbeat.ts';
import { cachePath, heartbeatPath, unguardedPath } from '../../src/rundir/paths.ts';
import { writeNodeCache } from '../../src/rundir/write.ts';
import { seedCache } from '../helpers/unit/cache.ts';
import { createNode, errorOf, type FakeNode, START } from '../helpers/unit/plugin.ts';

const ENV = { CNI_CONTAINERID: undefined, CNI_NETNS: undefined, CNI_IFNAME: undefined, CNI_ARGS: undefined };

function beat({ runDir }: FakeNode, changes: Partial<Heartbeat> = {}): void {
  const heartbeat: Heartbeat = {
    at: START,
    pid: 1,
    version: '0',
    charonError: '',
    sourceError: '',
    enforcedGeneration: 1,
    reconcileError: '',
    hairpinError: '',
    problems: [],
    ...changes,
  };
  writeFileSync(heartbeatPath(runDir), JSON.stringify(heartbeat));
}

const status = (node: FakeNode, config = {}) =>
  node.call('STATUS', { env: ENV, config: { cniVersion: '1.1.0', prevResult: undefined, ...config } });

test('STATUS says nothing when ADD would work', async (t) => {
  const node = createNode(t, seedCache({ writtenAt: START }));
  beat(node);
  node.clock.now = START + HEARTBEAT_STALE_MS;
  t.deepEqual(await status(node), { stdout: '', stderr: '', exitCode: 0 });
  t.deepEqual(node.kernel.commands, []);
});

test('a wall clock that was set does not silence the agent', async (t) => {
  const node = createNode(t, seedCache({ writtenAt: START }));
  beat(node, { at: START - 3_600_000, uptimeMs: START - 1_000 });
  t.deepEqual(await status(node), { stdout: '', stderr: '', exitCode: 0 });
});

interface Case {
  readonly says: RegExp;
  readonly prepare: (node: FakeNode) => void;
  readonly config?: object;
}

const cases: Record<string, Case> = {
  'the kernel never had the cache': {
    says: /nothing has been enforced on this node since it booted/,
    prepare: (node) => {
      const { bootId: _, ...cache } = seedCache({ writtenAt: START });
      writeNodeCache(node.runDir, cache);
      beat(node);
    },
  },
  'the cache is of another boot': {
    says: /is of another boot/,
    prepare: (node) => {
      writeNodeCache(node.runDir, seedCache({ writtenAt: START, bootId: 'other' }));
      beat(node);
    },
  },
  'the nft table is missing': {
    says: /nft table of this node is missing .*: no such table/,
    prepare: (node) => {
      writeFileSync(unguardedPath(node.runDir), 'no such table');
      beat(node);
    },
  },
  'the agent is silent by the clock that nobody can set': {
    says: /not alive: silent for 21 s/,
    prepare: (node) => beat(node, { at: START + 3_600_000, uptimeMs: START - 21_000 }),
  },
  'the heartbeat is of another boot': {
    says: /not alive: silent for Infinity s/,
    prepare: (node) => beat(node, { uptimeMs: START + 1 }),
  },
  'the cache is broken': {
    says: /node\.json: not JSON/,
    prepare: (node) => writeFileSync(cachePath(node.runDir), '{'),
  },
  'the cache is too old': {
    says: /61 s old, more than cacheMaxAgeMs 60000/,
    prepare: (node) => {
      node.clock.now = START + 61_000;
      beat(node, { at: START + 61_000 });
    },
    config: { cacheMaxAgeMs: 60_000 },
  },
  'no agent ever wrote': { says: /trapline-agent is not alive: .*agent\.json: not there/, prepare: () => {} },
  'the heartbeat is broken': {
    says: /not alive: .*agent\.json: pid/,
    prepare: (node) => writeFileSync(heartbeatPath(node.runDir), `{"at":${START}}`),
  },
  'the agent is silent': {
    says: /not alive: silent for 21 s/,
    prepare: (node) => beat(node, { at: START - 21_000 }),
  },
  'charon is away': {
    says: /charon is not reachable: no socket/,
    prepare: (node) => beat(node, { charonError: 'no socket' }),
  },
};
for (const [title, { says, prepare, config }] of Object.entries(cases)) {
  test(`STATUS, ${title}: code 50`, async (t) => {
    const node = createNode(t, seedCache({ writtenAt: START }));
    prepare(node);
    const error = errorOf(t, await status(node, config));
    t.is(error.code, 50);
    t.regex(error.msg, says);
  });
}

test('STATUS without a cache: code 50', async (t) => {
  const node = createNode(t, null);
  beat(node);
  const error = errorOf(t, await status(node));
  t.is(error.code, 50);
  t.regex(error.msg, /node\.json: not there/);
});
