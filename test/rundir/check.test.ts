import test from 'ava';
import { checkNodeCache } from '../../src/rundir/check.ts';
import type { NodeCache } from '../../src/rundir/schema.ts';
import { seedCache } from '../helpers/unit/cache.ts';

const good = seedCache();
const [endpoint] = good.endpoints;
const [peer] = good.peers;

const refuses = test.macro((t, wrong: object, message: RegExp) => {
  t.throws(() => checkNodeCache({ ...good, ...wrong } as NodeCache), { name: 'CacheError', message });
});

test(
  'a port that is none',
  refuses,
  { endpoints: [{ ...endpoint, ports: [{ proto: 'tcp', port: 70_000, child: 'x' }] }] },
  /^node cache: endpoints\.0\.ports\.0\.port: /,
);
test('NaN', refuses, { generation: Number.NaN }, /^node cache: generation: /);
test('a part that is missing', refuses, { peers: undefined }, /^node cache: peers: /);
test(
  'an address that ip could read otherwise',
  refuses,
  { endpoints: [{ ...endpoint, address: '10.0.0.1/8' }] },
  /^node cache: endpoints: "10\.0\.0\.1\/8" is not in canonical form$/,
);
test('a zone', refuses, { peers: [{ ...peer, addresses: ['fe80::1%eth0'] }] }, /fe80::1%eth0/);
for (const cidr of ['10.0.0.0/08', 'fd00::/064', '10.0.0.0', ' 10.0.0.0/8', '10.0.0.0/8\n']) {
  test(
    `the CIDR ${JSON.stringify(cidr)}`,
    refuses,
    { peers: [{ ...peer, podCidrs: [cidr] }] },
    /^node cache: peers: /,
  );
}
test(
  'a former CIDR',
  refuses,
  { node: { ...good.node, formerCidrs: [{ cidr: '10.0.0.0/08', until: 1 }] } },
  /^node cache: node: /,
);

test('what is good is accepted, and is not looked at again', (t) => {
  let reads = 0;
  const counted = <T extends object>(value: T): T =>
    new Proxy(value, {
      get: (of, key, receiver) => {
        reads += 1;
        return Reflect.get(of, key, receiver) as unknown;
      },
    });
  const pods = good.pods.map(counted);
  checkNodeCache({ ...good, pods });
  const before = reads;
  checkNodeCache({ ...good, pods, generation: 2 });
  checkNodeCache({ ...good, pods: [...pods] });
  t.true(before > 0);
  t.is(reads, before);
});
