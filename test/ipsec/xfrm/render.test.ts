import test from 'ava';
import type { Operation } from '../../../src/ipsec/xfrm/operation.ts';
import { inOrder, inverse, inverseAll } from '../../../src/ipsec/xfrm/operation.ts';
import { renderOperation } from '../../../src/ipsec/xfrm/write/render.ts';
import { policy, selector } from './policies.ts';

const before = policy({ priority: 1_101, level: 'use' });
const udp = policy();
const rendered: readonly [string, Operation, string][] = [
  [
    'add',
    { op: 'add', policy: udp },
    'xfrm policy add dir out src 10.1.0.3/32 dst 10.2.0.0/24 proto 17 sport 53 priority 1100 tmpl src 192.168.0.1 dst 192.168.0.2 proto esp reqid 10000001 mode tunnel level required',
  ],
  [
    'update',
    { op: 'update', policy: before, previous: udp },
    'xfrm policy update dir out src 10.1.0.3/32 dst 10.2.0.0/24 proto 17 sport 53 priority 1101 tmpl src 192.168.0.1 dst 192.168.0.2 proto esp reqid 10000001 mode tunnel level use',
  ],
  [
    'delete names the key alone',
    { op: 'delete', policy: udp },
    'xfrm policy delete dir out src 10.1.0.3/32 dst 10.2.0.0/24 proto 17 sport 53',
  ],
  [
    'any protocol is no protocol',
    { op: 'delete', policy: policy({ dir: 'fwd', selector: selector({ proto: 'any', sport: 0 }) }) },
    'xfrm policy delete dir fwd src 10.1.0.3/32 dst 10.2.0.0/24',
  ],
  [
    'IPv6, ICMPv6',
    {
      op: 'delete',
      policy: policy({
        dir: 'in',
        selector: { src: 'fd00::1/128', dst: 'fd01::/64', proto: 'icmpv6', sport: 0, dport: 0 },
      }),
    },
    'xfrm policy delete dir in src fd00::1/128 dst fd01::/64 proto 58',
  ],
  [
    'both ports',
    { op: 'delete', policy: policy({ selector: selector({ proto: 'sctp', sport: 1, dport: 65_535 }) }) },
    'xfrm policy delete dir out src 10.1.0.3/32 dst 10.2.0.0/24 proto 132 sport 1 dport 65535',
  ],
];

for (const [title, operation, line] of rendered) {
  test(`render: ${title}`, (t) => t.is(renderOperation(operation), line));
}

test('every operation is undone by its inverse, the last one first', (t) => {
  const operations: Operation[] = [
    { op: 'add', policy: udp },
    { op: 'update', policy: before, previous: udp },
    { op: 'delete', policy: before },
  ];
  t.deepEqual(inverseAll(operations), [
    { op: 'add', policy: before },
    { op: 'update', policy: udp, previous: before },
    { op: 'delete', policy: udp },
  ]);
  t.deepEqual(operations.map(inverse).map(inverse), operations);
});

test('the strongest policies come first and go last', (t) => {
  const of = (op: 'add' | 'delete', priority: number): Operation => ({ op, policy: policy({ priority }) });
  const update: Operation = { op: 'update', policy: before, previous: udp };
  t.deepEqual(
    inOrder([of('delete', 1), update, of('add', 3), of('delete', 2), of('add', 1), of('delete', 3)]),
    [of('add', 1), of('add', 3), update, of('delete', 3), of('delete', 2), of('delete', 1)],
  );
});
