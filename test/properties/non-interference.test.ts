import { setTimeout } from 'node:timers/promises';
import test from 'ava';
import fc from 'fast-check';
import { INTERFERENCES } from './examples.ts';
import { cases, interference } from './interference.ts';
import { effort } from './plans.ts';
import { TENANT } from './tenants.ts';

/**
 * Non-interference (docs/trust.md): whatever the user of a namespace writes, Services, EndpointSlices with
 * forged addresses, nodes and labels, labels, ports and annotations of pods, changes nothing for addresses of
 * other namespaces' pods, of nodes, and of the world outside, on any node: neither the policy that a packet
 * meets first, nor its template, nor the child that the reqid names.
 *
 * Left out, each for a reason:
 * Flows with an end at a pod of that namespace: they are its own to protect, or not.
 * - Addresses that no other namespace protects: nobody has a pod there, or nobody has asked for protection.
 *   The first namespace whose slice claims such an address, and that is right about its node, may protect it.
 * - Addresses that others protect with slices by hand alone: a namespace may add its own ports there, and
 *   change the child. What others protect stays closed.
 * - Policies for unlisted endpoints: a port number that anybody protects is protected at whole pod CIDRs, in
 *   every namespace (docs/design.md, Unlisted and departed). So a namespace may add such policies, and take
 *   away those that it has added. It takes away none of a number that others protect, though it may change
 *   the child; and the child of ICMP only if the administrator has put its items first.
 * - Pods of the host network that the namespace has itself: they share the node's address, so they are not
 *   generated there. Who may run them is no mere user of a namespace.
 */

test(`what the user of namespace ${TENANT} writes changes nothing for others`, async (t) => {
  const counted = { flows: 0 };
  const { numRuns, ...seeded } = effort(10_000);
  t.timeout(60_000 + 60 * numRuns);
  // The property keeps the event loop busy: before it, ava has to learn of that time.
  await setTimeout(20);
  fc.assert(
    fc.property(cases, (one) => {
      const found = interference(one, counted);
      if (found !== undefined) {
        throw new Error(found);
      }
    }),
    { numRuns, ...seeded, examples: INTERFERENCES, includeErrorInReport: true },
  );
  t.log(`${counted.flows} protected flows`);
  t.true(counted.flows > numRuns / 2, 'the property says something only where flows are protected');
});
