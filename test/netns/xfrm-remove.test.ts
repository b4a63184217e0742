import type { Command, RunResult } from '../../src/exec/types.ts';
import { policyKey } from '../../src/ipsec/plan/ours.ts';
import type { XfrmPolicy } from '../../src/ipsec/plan/types.ts';
import { listPolicies, ownPolicies } from '../../src/ipsec/xfrm/kernel.ts';
import { addPolicies } from '../../src/ipsec/xfrm/write/apply.ts';
import { removePolicies } from '../../src/ipsec/xfrm/write/remove.ts';
import { IP, type Namespace } from '../helpers/netns/netns.ts';
import { netnsTest } from '../helpers/netns/netns-test.ts';
import { policy, selector } from '../ipsec/xfrm/policies.ts';

const COUNT = 300;
const POD = '10.1.0.3';

/** What a pod with many clients has, in both directions and with two priorities: 4 x COUNT policies. */
const many = [1_100, 1_101].flatMap((priority) =>
  Array.from(
    { length: COUNT },
    (_, index) => `10.${priority - 1_000}.${index >> 8}.${index & 255}/32`,
  ).flatMap((peer) => [
    policy({ priority, selector: selector({ src: `${POD}/32`, dst: peer }) }),
    policy({
      dir: 'fwd',
      priority,
      selector: selector({ src: peer, dst: `${POD}/32`, sport: 0, dport: 53 }),
    }),
  ]),
);
const FILTERS = ['out', 'fwd'].flatMap((dir) =>
  [1_100, 1_101].map((priority) => `${dir === 'out' ? 'src' : 'dst'} ${POD} dir ${dir} priority ${priority}`),
);

/** The real `ip`, and what was deleted with one process for many. */
function observed(namespace: Namespace, meddle?: (command: Command) => Promise<RunResult | undefined>) {
  const filters: string[] = [];
  const run = async (command: Command): Promise<RunResult> => {
    const [, , verb, ...filter] = command.args;
    if (verb === 'deleteall') {
      filters.push(filter.join(' '));
    }
    return (await meddle?.(command)) ?? (await namespace.run(command));
  };
  return { filters, iproute2: { run, ip: IP } };
}

const keys = (policies: readonly XfrmPolicy[]): string[] => policies.map(policyKey).sort();

netnsTest('what a pod with many clients has goes with one process for each kind', async (t, namespace) => {
  const { filters, iproute2 } = observed(namespace);
  const other = policy({ selector: selector({ src: '10.1.0.4/32' }) });
  await addPolicies(iproute2, [...many, other]);
  await removePolicies(iproute2, many);
  t.deepEqual(filters.sort(), [...FILTERS].sort());
  t.deepEqual(keys(ownPolicies(await listPolicies(iproute2))), [policyKey(other)]);
});

netnsTest('addresses of IPv6 are told apart to their last bit', async (t, namespace) => {
  const { filters, iproute2 } = observed(namespace);
  const of = (pod: string): XfrmPolicy[] =>
    Array.from({ length: COUNT }, (_, index) =>
      policy({ selector: selector({ src: `${pod}/128`, dst: `fd00:2:0:${(index + 1).toString(16)}::/64` }) }),
    );
  const neighbour = of('fd00:1::4');
  await addPolicies(iproute2, [...of('fd00:1::5'), ...neighbour]);
  await removePolicies(iproute2, of('fd00:1::5'));
  t.deepEqual(filters, ['src fd00:1::5 dir out priority 1100']);
  t.deepEqual(keys(ownPolicies(await listPolicies(iproute2))), keys(neighbour));
});

const FOREIGN: readonly (readonly [what: string, policy: string])[] = [
  ['of another reqid', 'src 10.1.0.3/32 dst 10.9.0.0/24 proto udp sport 53'],
  ['of a prefix that is written with that address', 'src 10.1.0.3/24 dst 10.9.0.0/24'],
  ['with a mark', 'src 10.1.0.3/32 dst 10.9.0.0/24 mark 4'],
  ['with a selector that ours cannot have', 'src 10.1.0.3/32 dst 10.9.0.0/24 dev lo'],
];

for (const [what, place] of FOREIGN) {
  netnsTest(`many go, and another's policy stays: one ${what}`, async (t, namespace) => {
    const { filters, iproute2 } = observed(namespace);
    const foreign = `dir out ${place} priority 1100 tmpl src 192.168.0.1 dst 192.168.0.2 proto esp reqid 7 mode tunnel`;
    await namespace.ip('xfrm', 'policy', 'add', ...foreign.split(' '));
    const before = await namespace.ip('xfrm', 'policy');
    await addPolicies(iproute2, many);
    await removePolicies(iproute2, many);
    t.false(filters.includes(`src ${POD} dir out priority 1100`), filters.join('; '));
    t.is(await namespace.ip('xfrm', 'policy'), before);
  });
}

netnsTest('many go, and what is ours and not told of stays', async (t, namespace) => {
  const { iproute2 } = observed(namespace);
  await addPolicies(iproute2, many);
  await removePolicies(iproute2, many.slice(0, -1));
  t.deepEqual(keys(ownPolicies(await listPolicies(iproute2))), keys(many.slice(-1)));
});

netnsTest('an ip that does not delete many at once deletes them one by one', async (t, namespace) => {
  const { filters, iproute2 } = observed(namespace, async ({ args }) =>
    args.includes('deleteall') && args.includes('out')
      ? { exitCode: 255, stdout: '', stderr: 'Command "deleteall" is unknown, try "ip xfrm policy help".' }
      : undefined,
  );
  await addPolicies(iproute2, many);
  await removePolicies(iproute2, many);
  t.deepEqual(
    filters.map((filter) => filter.includes('dir out')),
    [false, true],
    'nothing comes after the refusal',
  );
  t.deepEqual(await listPolicies(iproute2), []);
});
