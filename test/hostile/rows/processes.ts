import { deepEqual, equal, match, ok, rejects } from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import type { createEnforcer as createEnforcerOf } from '../../../src/agent/kernel/enforce.ts';
import type { remembered as rememberedOf } from '../../../src/agent/kernel/records.ts';
import type { beSole as beSoleOf, soleAgent as soleAgentOf } from '../../../src/agent/sole.ts';
import type { NodeTrust, nextBundle as nextBundleOf } from '../../../src/controller/keys/bundle.ts';
import type { createRemoval as createRemovalOf } from '../../../src/install/removal.ts';
import type { eachPolicy as eachPolicyOf } from '../../../src/ipsec/xfrm/kernel.ts';
import type { applyCounted as applyCountedOf } from '../../../src/ipsec/xfrm/write/apply.ts';
import type { KubeClient } from '../../../src/kube/client.ts';
import { KubeError } from '../../../src/kube/error.ts';
import { createAuthority } from '../../../src/pki/authority.ts';
import { fingerprint } from '../../../src/pki/certificate.ts';
import { x509 } from '../../../src/pki/crypto.ts';
import type { withLock as withLockOf } from '../../../src/rundir/lock/lock.ts';
import { lockPath } from '../../../src/rundir/paths.ts';
import type { serveHttp as serveHttpOf } from '../../../src/util/http.ts';
import { seedCache } from '../../helpers/unit/cache.ts';
import { createFakeKernel } from '../../helpers/unit/fake-kernel.ts';
import { until } from '../../helpers/unit/until.ts';
import type { HostileRow, Load } from '../row.ts';

/**
 * What processes say: the kernel, the controller's view of nodes, neighbours on the machine, the API server.
 */

const HOUR = 3_600_000;
const BUNDLE = 'src/controller/keys/bundle.ts';

async function inFolder(use: (path: string) => Promise<void>): Promise<void> {
  const path = mkdtempSync(join(tmpdir(), 'trapline-hostile-'));
  try {
    await use(path);
  } finally {
    rmSync(path, { recursive: true, force: true });
  }
}

const authority = async (): Promise<x509.X509Certificate> =>
  new x509.X509Certificate((await createAuthority({ days: 10, now: new Date() })).certificate);

/**
 * What becomes of a change of CAs, with one sound node and what another one says; `waitedMs`: for how long it
 * has.
 */
async function change(
  load: Load,
  word: (roots: { readonly before: string; readonly next: string }) => NodeTrust,
  waitedMs = 0,
): Promise<{ readonly inForce: 'before' | 'next'; readonly waitingFor: readonly string[] }> {
  const { nextBundle } = await load<{ nextBundle: typeof nextBundleOf }>(BUNDLE);
  const [old, wanted] = [await authority(), await authority()];
  const [before, next] = [fingerprint(old), fingerprint(wanted)];
  const sound = { name: 'a', root: before, trusted: [before, next], silent: false };
  const { bundle, waitingFor } = nextBundle(
    {
      before: { root: before, certificates: [old, wanted] },
      step: { kind: 'trust', root: next, waitedMs },
      wanted,
      nodes: [sound, word({ before, next })],
    },
    { limitMs: HOUR, silentMs: 180_000 },
  );
  return { inForce: bundle.root === next ? 'next' : 'before', waitingFor };
}

/**
 * An API server that had the agents' DaemonSet once, and lists none any more; by its name it is still there.
 */
function forgetful(): KubeClient &
  Record<'forget', () => void> & { readonly isWatched: () => boolean; readonly lists: () => number } {
  let lists = 0;
  let version = 5;
  let listed = true;
  const daemonSet = { metadata: { name: 'trapline', uid: 'u1', resourceVersion: '5' } };
  let end: (() => void) | undefined;
  return {
    forget() {
      listed = false;
      version = 6;
      end?.();
    },
    isWatched: () => end !== undefined,
    lists: () => lists,
    async request({ path }) {
      if (path.endsWith('/daemonsets/trapline')) {
        return daemonSet;
      }
      lists += path.includes('daemonsets') ? 1 : 0;
      const items = path.includes('daemonsets') && listed ? [daemonSet] : [];
      return { items, metadata: { resourceVersion: String(version) } };
    },
    async *watch({ path, signal }, onOpen) {
      onOpen();
      await new Promise<void>((resolve) => {
        signal?.addEventListener('abort', () => resolve());
        if (path.includes('daemonsets')) {
          end = resolve;
        }
      });
      if (signal?.aborted !== true) {
        // What was asked for is too old: the list is read anew.
        throw new KubeError(410, 'Expired', 'too old');
      }
      yield* [];
    },
  };
}

export const PROCESSES: readonly HostileRow[] = [
  {
    id: '4e',
    title: 'a policy that the kernel refuses',
    who: 'broken object',
    did: 'the whole batch was undone: nothing was enforced on that node any more',
    now: 'it is left out, named, and tried again more and more rarely; all else is laid',
    check: async (load) => {
      const { createEnforcer } = await load<{ createEnforcer: typeof createEnforcerOf }>(
        'src/agent/kernel/enforce.ts',
      );
      const { remembered } = await load<{ remembered: typeof rememberedOf }>('src/agent/kernel/records.ts');
      const { eachPolicy } = await load<{ eachPolicy: typeof eachPolicyOf }>('src/ipsec/xfrm/kernel.ts');
      const { applyCounted } = await load<{ applyCounted: typeof applyCountedOf }>(
        'src/ipsec/xfrm/write/apply.ts',
      );
      const kernel = createFakeKernel();
      const iproute2 = { ...kernel, ip: '/ip' };
      const enforcer = createEnforcer({
        eachPolicy: (take) => eachPolicy(iproute2, take),
        grace: async () => undefined,
        apply: async (operations, isolation) => (await applyCounted(iproute2, operations, isolation)).refused,
        readAttachments: () => ({ records: [].map(remembered), complete: true }),
        writeAttachment: () => undefined,
        uptime: () => 0,
      });
      const one = 'dir out src 172.16.166.128/26 dst 172.16.192.115/32 proto 17 dport 53';
      kernel.refuses = (line) => line.includes(one);
      const { refused } = await enforcer.enforce(seedCache());
      equal(refused.length, 1);
      match(refused[0] ?? '', /172\.16\.192\.115\/32 .*Invalid argument/);
      ok(kernel.policies().length > 10, `${kernel.policies().length} policies`);
    },
    mutation: {
      file: 'src/agent/kernel/refused.ts',
      from: 'most: now < rest.until ? 0 : MOST - waiting.length',
      to: 'most: 0',
    },
  },
  {
    id: '7a',
    title: 'an IPsecNode that says certificate: {root: "00"} while the CA changes',
    who: "another node's agent",
    did: 'the controller waited for it for ever, and signed nothing meanwhile',
    now: 'a certificate of a CA that nobody knows has no part in the change',
    check: async (load) => {
      const said = await change(load, () => ({ name: 'c', root: '00', trusted: [], silent: false }));
      deepEqual(said, { inForce: 'next', waitingFor: ['a'] });
    },
    mutation: {
      file: BUNDLE,
      from: 'situation.nodes.filter((node) => known.has(node.root))',
      to: 'situation.nodes',
    },
  },
  {
    id: '7b',
    title: 'an IPsecNode that never comes to trust the next CA',
    who: "another node's agent",
    did: 'as 7a',
    now: 'waited for, while the CA in force signs; after an hour the change goes on without it (Event and condition)',
    check: async (load) => {
      const word = ({ before }: { before: string }): NodeTrust => ({
        name: 'c',
        root: before,
        trusted: [before],
        silent: false,
      });
      deepEqual(await change(load, word, HOUR / 2), { inForce: 'before', waitingFor: ['c'] });
      equal((await change(load, word, HOUR)).inForce, 'next');
    },
    mutation: {
      file: BUNDLE,
      from: 'const over = behind.length === 0 || wait.waitedMs >= patience.limitMs ||',
      to: 'const over = behind.length === 0 ||',
    },
  },
  {
    id: '8a',
    title: 'a second agent on a node',
    who: 'local user with root',
    did: 'both worked, and the one that ended deleted the heartbeat of the other',
    now: 'refused, with the pid of the first; the first goes on',
    check: async (load) => {
      const { beSole, soleAgent } = await load<{ beSole: typeof beSoleOf; soleAgent: typeof soleAgentOf }>(
        'src/agent/sole.ts',
      );
      await inFolder(async (runDir) => {
        const release = await beSole(runDir, 'pid 1');
        const second = beSole(runDir, 'pid 2');
        try {
          await rejects(second, /another trapline-agent \(pid 1\)/);
          equal(await soleAgent(runDir), 'pid 1');
        } finally {
          release();
          await second.then(
            (end) => end(),
            () => undefined,
          );
        }
      });
    },
    mutation: { file: 'src/agent/sole.ts', from: 'if (other !== undefined)', to: 'if (false)' },
  },
  {
    id: '8b',
    title: 'somebody listens on 127.0.0.1:9472',
    who: 'local user',
    did: 'the agent did not start',
    now: 'it goes on without metrics, says so, and listens once the address is free',
    check: async (load) => {
      const { serveHttp } = await load<{ serveHttp: typeof serveHttpOf }>('src/util/http.ts');
      const squatter = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
      await once(squatter, 'listening');
      const { port } = squatter.address() as AddressInfo;
      const abort = new AbortController();
      const problems: string[] = [];
      let tries = 0;
      try {
        serveHttp(
          {
            listen: `127.0.0.1:${port}`,
            registry: new Registry(),
            health: () => '',
            readiness: () => '',
            onProblem: (problem) => void problems.push(problem),
            sleep: async () => {
              tries += 1;
              await new Promise((resolve) => setTimeout(resolve, 10));
            },
          },
          abort.signal,
        );
        await until('it is tried again', () => tries >= 2, 2_000);
        match(problems.join(), /^--listen 127\.0\.0\.1:\d+: .*EADDRINUSE/);
        squatter.close();
        await once(squatter, 'close');
        await until('it listens', () => problems.at(-1) === '', 2_000);
      } finally {
        abort.abort();
        squatter.close();
      }
    },
    mutation: { file: 'src/util/http.ts', from: 'await sleep(pauseMs, signal);', to: 'return;' },
  },
  {
    id: '14a',
    title: 'an empty list of DaemonSets while the agent ends',
    who: 'broken object',
    did: 'it read as "being removed": policies and SAs were deleted, all went on in the clear',
    now: 'only what was seen being deleted, or is gone when asked for by its name, is a removal',
    check: async (load) => {
      const { createRemoval } = await load<{ createRemoval: typeof createRemovalOf }>(
        'src/install/removal.ts',
      );
      const client = forgetful();
      const abort = new AbortController();
      const removal = createRemoval(client, 'ns', 'trapline');
      const running = removal.run(abort.signal);
      const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 50));
      try {
        await until('the watch is open', () => client.isWatched(), 20_000);
        client.forget();
        await until('the list is read anew', () => client.lists() > 1, 20_000);
        await pause();
        equal(removal.requested(), false);
        await pause();
        equal(removal.requested(), false);
      } finally {
        abort.abort();
        await running;
      }
    },
    mutation: {
      file: 'src/install/removal.ts',
      from: 'await client.request({ path: `${path}/${name}` });',
      to: 'deleted = true;',
    },
  },
  {
    id: '14c',
    title: 'the wall clock is set forward by an hour',
    who: 'broken object',
    did: 'a live lock of another pid namespace counted as abandoned, and was taken',
    now: 'ages go by a clock that nobody can set',
    check: async (load) => {
      const { withLock } = await load<{ withLock: typeof withLockOf }>('src/rundir/lock/lock.ts');
      await inFolder(async (runDir) => {
        const path = lockPath(runDir);
        mkdirSync(runDir, { recursive: true });
        let uptime = 5_000_000;
        // Written a moment ago by a holder for whom it was an hour earlier.
        const then = Date.now() - HOUR;
        writeFileSync(path, `1 1 pid:[1] ${then - uptime}`);
        utimesSync(path, then / 1_000, then / 1_000);
        const taken = withLock(
          runDir,
          {
            timeoutMs: 1_000,
            uptime: () => uptime,
            sleep: async (ms) => {
              uptime += ms;
            },
          },
          async () => undefined,
        );
        await rejects(taken, /still held/);
      });
    },
    mutation: {
      file: 'src/rundir/lock/holder.ts',
      from: 'const age = boot + uptime() - stat.mtimeMs;',
      to: 'const age = Date.now() - stat.mtimeMs;',
    },
  },
];
