import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { keepThresholds, planThresholds, restoreThresholds } from '../../src/agent/host/hash-thresholds.ts';
import { createNamespace, IP, netnsUnavailable } from '../helpers/netns/netns.ts';
import { seedCache } from '../helpers/unit/cache.ts';

const unavailable = await netnsUnavailable();
const seed = seedCache();
const withCidrs = (...podCidrs: string[]) => ({
  peers: seed.peers.slice(0, 1).map((peer) => ({ ...peer, podCidrs })),
});

test('the shortest pod CIDR of a peer, unless it is so short that it would hash nothing; own pods by their address', (t) => {
  t.deepEqual(planThresholds(withCidrs('10.1.0.0/24', '10.2.0.0/26', 'fd00::/64'), 4), {
    local: 32,
    remote: 24,
  });
  t.deepEqual(planThresholds(withCidrs('10.1.0.0/24', 'fd00::/64'), 6), { local: 128, remote: 64 });
  t.is(planThresholds(withCidrs('10.1.0.0/24'), 6), undefined);
  t.is(planThresholds(withCidrs('10.0.0.0/8', '10.2.0.0/24'), 4), undefined);
});

if (unavailable !== undefined) {
  console.error(`SKIPPED: thresholds: ${unavailable}`);
  test.skip(`thresholds (${unavailable})`, () => {});
} else {
  test('set, followed, and put back as they were found', async (t) => {
    const namespace = await createNamespace('hthresh');
    t.teardown(namespace.remove);
    const runDir = mkdtempSync(join(tmpdir(), 'hthresh-'));
    t.teardown(() => rmSync(runDir, { recursive: true }));
    const iproute2 = { run: namespace.run, ip: IP };
    const shown = async (): Promise<string[]> => {
      const { stdout } = await namespace.run({ file: IP, args: ['-s', '-s', 'xfrm', 'policy', 'count'] });
      return [...stdout.matchAll(/thresholds: (.+)/g)].map(([, text = '']) => text.trim());
    };
    await namespace.ip('xfrm', 'policy', 'set', 'hthresh4', '30', '28');
    await keepThresholds(iproute2, { runDir, cache: withCidrs('10.1.0.0/24', 'fd00::/64') });
    t.deepEqual(await shown(), ['local 32 remote 24', 'local 128 remote 64']);
    await keepThresholds(iproute2, { runDir, cache: withCidrs('10.1.0.0/26') });
    t.deepEqual(await shown(), ['local 32 remote 26', 'local 128 remote 64']);
    await namespace.ip('xfrm', 'policy', 'set', 'hthresh6', '48', '48');
    await restoreThresholds(iproute2, runDir);
    t.deepEqual(
      await shown(),
      ['local 30 remote 28', 'local 48 remote 48'],
      'what somebody else has set since stays',
    );
    t.false(existsSync(join(runDir, 'hthresh.json')));
  });
}
