import test from 'ava';
import { keepRoutes, planRoutes, removeRoutes } from '../../src/agent/host/routes.ts';
import type { CachePeer } from '../../src/rundir/schema.ts';
import { createNamespace, IP, netnsUnavailable } from '../helpers/netns/netns.ts';

const unavailable = await netnsUnavailable();
const peer = (name: string, podCidrs: string[], addresses: string[]): CachePeer => ({
  name,
  podCidrs,
  addresses,
  reqids: {},
});
const PEERS = [
  peer('b', ['10.2.0.0/24', 'fd00:2::/64'], ['192.0.2.2', 'fd00::2']),
  peer('c', ['10.3.0.0/24'], ['fd00::3']),
];

test('a peer is reached by its address of the same family, or not at all', (t) => {
  t.deepEqual(planRoutes({ peers: PEERS }, 4), ['10.2.0.0/24 via 192.0.2.2']);
  t.deepEqual(planRoutes({ peers: PEERS }, 6), ['fd00:2::/64 via fd00::2']);
});

if (unavailable !== undefined) {
  console.error(`SKIPPED: routes: ${unavailable}`);
  test.skip(`routes (${unavailable})`, () => {});
} else {
  test('routes come, change and go with the peers; others’ stay', async (t) => {
    const namespace = await createNamespace('routes');
    t.teardown(namespace.remove);
    const { ip, run } = namespace;
    await ip('link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth1');
    await ip('link', 'set', 'eth1', 'up');
    await ip('addr', 'add', '192.0.2.1/24', 'dev', 'eth0');
    await ip('addr', 'add', 'fd00::1/64', 'dev', 'eth0', 'nodad');
    await ip('link', 'set', 'eth0', 'up');
    await ip('route', 'add', '10.9.0.0/24', 'via', '192.0.2.9');
    const iproute2 = { run, ip: IP };
    const routes = async (): Promise<string[]> => {
      const lists = await Promise.all(
        ['-4', '-6'].map((family) => run({ file: IP, args: [family, 'route', 'show'] })),
      );
      return lists
        .flatMap(({ stdout }) => [...stdout.matchAll(/^(\S+ via \S+) /gm)].map(([, route = '']) => route))
        .sort();
    };
    await keepRoutes(iproute2, { peers: PEERS });
    t.deepEqual(await routes(), [
      '10.2.0.0/24 via 192.0.2.2',
      '10.9.0.0/24 via 192.0.2.9',
      'fd00:2::/64 via fd00::2',
    ]);
    await keepRoutes(iproute2, { peers: [peer('b', ['10.2.0.0/24'], ['192.0.2.22'])] });
    t.deepEqual(await routes(), ['10.2.0.0/24 via 192.0.2.22', '10.9.0.0/24 via 192.0.2.9']);
    await removeRoutes(iproute2);
    t.deepEqual(await routes(), ['10.9.0.0/24 via 192.0.2.9']);
  });
}
