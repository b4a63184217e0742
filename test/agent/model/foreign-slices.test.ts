import test from 'ava';
import fc from 'fast-check';
import type { EndpointSlice } from '../../../src/cluster/objects.ts';
import type { ClusterObjects } from '../../../src/cluster/snapshot.ts';
import { planPolicies } from '../../../src/ipsec/plan/plan.ts';
import type { XfrmPolicy } from '../../../src/ipsec/plan/types.ts';
import type { NodeCacheContent } from '../../../src/rundir/schema.ts';
import { build } from '../../helpers/unit/model.ts';
import { item, policy, service, slice } from '../../helpers/unit/objects.ts';
import { NODES, type World, worlds } from '../../helpers/unit/worlds.ts';

const TENANT = 'a-tenant';

/** Addresses of pods that there are and are not, of nodes, and of nobody. */
const address = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .tuple(fc.integer({ min: 1, max: 2 }), fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 7 }))
      .map(([block, on, last]) => `10.${block}.${on}.${last}`),
  },
  fc
    .tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 7 }))
    .map(([on, last]) => `fd00:${on}::${last}`),
  fc.integer({ min: 1, max: 3 }).map((last) => `10.0.0.${last}`),
  fc.constantFrom('203.0.113.9', '127.0.0.1', '0.0.0.0', '::1', 'web.example', ''),
);

const foreign: fc.Arbitrary<EndpointSlice[]> = fc
  .array(
    fc.record({
      addresses: fc.array(address, { maxLength: 4 }),
      nodeName: fc.constantFrom<(string | undefined)[]>(...NODES, 'x', undefined),
      isPod: fc.boolean(),
      managedBy: fc.constantFrom(undefined, 'me', 'endpointslicemirroring-controller.k8s.io'),
      port: fc.integer({ min: 1, max: 4 }),
      at: fc.constantFrom(undefined, '1999-01-01T00:00:00Z', '2030-01-01T00:00:00Z'),
    }),
    { maxLength: 4 },
  )
  .map((all) =>
    all.map(({ addresses, nodeName, isPod, managedBy, port, at }, index) => {
      const one = slice('own', addresses, [{ port }], {
        ...(nodeName === undefined ? {} : { nodeName }),
        ...(isPod ? { targetRef: { kind: 'Pod' } } : {}),
      });
      const labels = {
        'kubernetes.io/service-name': 'own',
        ...(managedBy === undefined ? {} : { 'endpointslice.kubernetes.io/managed-by': managedBy }),
      };
      const metadata = { name: `own-${index}`, namespace: TENANT, labels };
      return { ...one, metadata: at === undefined ? metadata : { ...metadata, creationTimestamp: at } };
    }),
  );

function withTenant(
  objects: ClusterObjects,
  slices: readonly EndpointSlice[],
  selects: boolean,
): ClusterObjects {
  const own = service('own', [{ port: 1 }], selects ? {} : { selector: null });
  return {
    ...objects,
    services: [...objects.services, { ...own, metadata: { ...own.metadata, namespace: TENANT } }],
    endpointSlices: [...objects.endpointSlices, ...slices],
    policies: [
      ...objects.policies,
      policy('tenant', item('zz', 'tcp/*', { servicename: 'own', servicens: TENANT })),
    ],
  };
}

/** What the plan of a node does to addresses, in the order in which the kernel looks. */
function policiesAt(
  content: NodeCacheContent,
  world: World,
  nodeName: string,
  at: ReadonlySet<string>,
): XfrmPolicy[] {
  const attached = world.pods
    .filter((pod) => pod.node === nodeName)
    .map(({ name, addresses }) => ({ pod: { namespace: 'ns', name, uid: name }, addresses: [...addresses] }));
  const cache = { schema: 1 as const, generation: 1, writtenAt: 0, ...content };
  return planPolicies(cache, attached).filter(
    ({ selector }) =>
      at.has(selector.src.replace(/\/(32|128)$/, '')) || at.has(selector.dst.replace(/\/(32|128)$/, '')),
  );
}

test('slices of one namespace change nothing at addresses of another one’s service, or of nodes', (t) => {
  let contests = 0;
  fc.assert(
    fc.property(
      worlds({ pods: 2, services: 1, items: 1 }),
      foreign,
      fc.boolean(),
      (world, slices, selects) => {
        for (const nodeName of NODES) {
          const input = { nodeName, childSaScope: world.scope };
          const before = build(withTenant(world.objects, [], selects), input).content;
          const after = build(withTenant(world.objects, slices, selects), input).content;
          const theirs = [...before.endpoints, ...before.localEndpoints].map((endpoint) => endpoint.address);
          // What this node serves is known by labels, not by endpoints.
          const served = before.pods.filter(({ labels }) =>
            before.entries.some(
              ({ selector }) =>
                selector !== null &&
                Object.entries(selector).every(([label, value]) => labels[label] === value),
            ),
          );
          const at = new Set([
            ...theirs,
            ...served.flatMap(({ addresses }) =>
              addresses.filter((one) =>
                before.entries.every(({ families }) => families.includes(one.includes(':') ? 6 : 4)),
              ),
            ),
            ...['10.0.0.1', '10.0.0.2', '10.0.0.3'],
          ]);
          contests += slices.some(({ endpoints }) =>
            endpoints?.some(({ addresses }) => addresses.some((one) => at.has(one))),
          )
            ? 1
            : 0;
          const [was, is] = [before, after].map((content) =>
            JSON.stringify(policiesAt(content, world, nodeName, at)),
          );
          if (was !== is) {
            return false;
          }
        }
        return true;
      },
    ),
    { numRuns: 400 },
  );
  t.true(contests > 100, `${contests} contests`);
});
