import test from 'ava';
import fc from 'fast-check';
import { planHairpin } from '../../../src/ipsec/hairpin/plan.ts';
import { cluster, item, pod, policy, service, slice } from '../../helpers/unit/objects.ts';
import { NODES, PROTOCOLS, type World, worldPort, worlds } from '../../helpers/unit/worlds.ts';
import { arrives, chosen, type Flow, planOf, within } from './flow.ts';

/**
 * For any cluster and any flow between pods of two nodes, the first-matching policies of the two plans name
 * the same child, in both directions, or neither protects it (docs/design.md, Which child). What goes to
 * a protected port number of a pod that is not protected goes as ESP and is let in as such, and so does its
 * answer.
 */

const world = worlds({ pods: 2, services: 1, items: 1 });

interface Case {
  readonly world: World;
  readonly from: number;
  readonly to: number;
  readonly family: number;
  readonly proto: string;
  readonly sport: number;
  readonly dport: number;
}

const flowCase: fc.Arbitrary<Case> = fc.record({
  world,
  from: fc.nat(),
  to: fc.nat(),
  family: fc.nat(),
  proto: fc.constantFrom(...PROTOCOLS, 'icmp'),
  sport: fc.integer({ min: 1, max: 5 }),
  dport: worldPort,
});

test('two nodes choose the same child for a flow, both ways, or neither protects it', (t) => {
  let protectedFlows = 0;
  fc.assert(
    fc.property(flowCase, ({ world: given, from, to, family, ...rest }) => {
      const client = given.pods[from % given.pods.length];
      const others = given.pods.filter(({ node }) => node !== client?.node);
      const server = others[to % others.length];
      if (client === undefined || server === undefined) {
        return;
      }
      const at = family % Math.min(client.addresses.length, server.addresses.length);
      const [src = '', dst = ''] = [client.addresses[at], server.addresses[at]];
      const proto = rest.proto === 'icmp' && src.includes(':') ? 'icmpv6' : rest.proto;
      const ports = proto.startsWith('icmp')
        ? { sport: 0, dport: 0 }
        : { sport: rest.sport, dport: rest.dport };
      const there: Flow = { src, dst, proto, ...ports };
      const back: Flow = { src: dst, dst: src, proto, sport: ports.dport, dport: ports.sport };
      const [a, b] = [planOf(given, client.node), planOf(given, server.node)];
      const [sent, received] = [chosen(a, ['out'], there), chosen(b, ['fwd', 'in'], there)];
      const [answered, heard] = [chosen(b, ['out'], back), chosen(a, ['fwd', 'in'], back)];
      const said = JSON.stringify({ there, sent, received, answered, heard });
      if (!arrives(sent, received)) {
        throw new Error(`the client's packet: ${said}`);
      }
      if (!arrives(answered, heard)) {
        throw new Error(`the server's packet: ${said}`);
      }
      if (sent.names.length > 0 && answered.names.length === 0) {
        throw new Error(`answered in the clear: ${said}`);
      }
      const [childThere, childBack] = [sent, answered].map(({ names }) => names[0]?.split(', ')[0]);
      if (sent.listed !== answered.listed || (sent.listed && childThere !== childBack)) {
        throw new Error(`there and back: ${said}`);
      }
      protectedFlows += sent.listed ? 1 : 0;
    }),
    { numRuns: 3_600, includeErrorInReport: true },
  );
  t.log(`${protectedFlows} flows were protected`);
  t.true(protectedFlows > 300, 'the property says something only where flows are protected');
});

test('what a tunnel brings to a pod that ADD has not come to is not answered in the clear', (t) => {
  let letIn = 0;
  fc.assert(
    fc.property(flowCase, ({ world: given, from, to, family, proto, sport, dport }) => {
      const client = given.pods[from % given.pods.length];
      const others = given.pods.filter(({ node }) => node !== client?.node);
      const server = others[to % others.length];
      if (client === undefined || server === undefined || proto === 'icmp') {
        return;
      }
      const at = family % Math.min(client.addresses.length, server.addresses.length);
      const [src = '', dst = ''] = [client.addresses[at], server.addresses[at]];
      const [a, b] = [planOf(given, client.node), planOf(beforeAdd(given, server), server.node)];
      const sent = chosen(a, ['out'], { src, dst, proto, sport, dport });
      const received = chosen(b, ['fwd', 'in'], { src, dst, proto, sport, dport });
      if (sent.names.length > 0 && arrives(sent, received)) {
        const answered = chosen(b, ['out'], { src: dst, dst: src, proto, sport: dport, dport: sport });
        if (answered.names.length === 0) {
          throw new Error(JSON.stringify({ src, dst, proto, sport, dport, sent, received, answered }));
        }
        letIn += 1;
      }
    }),
    { numRuns: 2_400, includeErrorInReport: true },
  );
  t.true(letIn > 200, 'the property says something only where tunnels bring packets');
});

/**
 * The world as another node still sees it, or already: some policies and some Services are missing. Services
 * are what tenants write, and no two nodes read them at the same moment.
 */
function partOf({ objects, pods, scope }: World, policies: number, services: number): World {
  const kept = <T>(list: readonly T[], mask: number): T[] =>
    list.filter((_, index) => (mask >> index) % 2 === 0);
  return {
    scope,
    pods,
    objects: {
      ...objects,
      policies: kept(objects.policies, policies),
      services: kept(objects.services, services),
    },
  };
}

test('while two nodes see different clusters, what is sent through a child that both have is let in', (t) => {
  let sentThrough = 0;
  const masks = fc.record({ policies: fc.nat({ max: 15 }), services: fc.nat({ max: 7 }) });
  fc.assert(
    fc.property(flowCase, masks, fc.boolean(), ({ world: given, from, to, family, ...rest }, mask, there) => {
      const client = given.pods[from % given.pods.length];
      const others = given.pods.filter(({ node }) => node !== client?.node);
      const server = others[to % others.length];
      if (client === undefined || server === undefined || rest.proto === 'icmp') {
        return;
      }
      const at = family % Math.min(client.addresses.length, server.addresses.length);
      const ends = [client.addresses[at] ?? '', server.addresses[at] ?? ''];
      const [src = '', dst = ''] = there ? ends : [...ends].reverse();
      const ports = there
        ? { sport: rest.sport, dport: rest.dport }
        : { sport: rest.dport, dport: rest.sport };
      const [sender, receiver] = there ? [client, server] : [server, client];
      const other = partOf(given, mask.policies, mask.services);
      const [a, b] = [planOf(given, sender.node), planOf(other, receiver.node)];
      const sent = chosen(a, ['out'], { src, dst, proto: rest.proto, ...ports });
      const received = chosen(b, ['fwd', 'in'], { src, dst, proto: rest.proto, ...ports });
      const [child = ''] = (sent.names[0] ?? '').split(', ');
      if (![...b.children.values()].includes(child) || received.names.length === 0) {
        return;
      }
      sentThrough += 1;
      if (!arrives(sent, received)) {
        throw new Error(JSON.stringify({ src, dst, ...rest, sent, received }));
      }
    }),
    { numRuns: 3_600, includeErrorInReport: true },
  );
  t.true(sentThrough > 100, `the property says something only where something is sent: ${sentThrough}`);
});

/** A pod that nobody has read of on its node, and that has no attachment yet. */
function beforeAdd({ objects, pods, scope }: World, { name }: World['pods'][number]): World {
  return {
    scope,
    pods: pods.filter((pod) => pod.name !== name),
    objects: {
      ...objects,
      pods: objects.pods.map((pod) =>
        pod.metadata.name === name ? { ...pod, status: { phase: 'Pending' } } : pod,
      ),
      endpointSlices: objects.endpointSlices.filter(
        ({ endpoints }) => endpoints?.[0]?.targetRef?.name !== name,
      ),
    },
  };
}

test('a pod of two entries, of which one node knows the first alone: all of its packets arrive', (t) => {
  const of = { nodeName: 'b', targetRef: { kind: 'Pod', name: 'both', namespace: 'ns' } };
  const world = (...entries: string[]): World => ({
    scope: 'service',
    pods: [{ name: 'both', node: 'b', addresses: ['10.1.2.1'] }],
    objects: cluster({
      services: ['one', 'two'].map((name) => service(name, [{ port: 80 }], { selector: { app: 'both' } })),
      endpointSlices: ['one', 'two'].map((name) => slice(name, ['10.1.2.1'], [{ name: '', port: 80 }], of)),
      pods: [pod('both', 'b', { status: { phase: 'Running', podIPs: [{ ip: '10.1.2.1' }] } })],
      policies: [policy('p', ...entries.map((name) => item(name, 'tcp/80')))],
    }),
  });
  const there = { src: '10.1.1.1', dst: '10.1.2.1', proto: 'tcp', sport: 5, dport: 80 };
  const back = { src: there.dst, dst: there.src, proto: 'tcp', sport: 80, dport: 5 };
  const names = new Set<string>();
  for (const [client, server] of [
    [
      ['one', 'two'],
      ['one', 'two'],
    ],
    [
      ['two', 'one'],
      ['one', 'two'],
    ],
    [['two', 'one'], ['one']],
    [['one'], ['two', 'one']],
  ] as const) {
    const [a, b] = [planOf(world(...client), 'a'), planOf(world(...server), 'b')];
    const [sent, answered] = [chosen(a, ['out'], there), chosen(b, ['out'], back)];
    t.true(arrives(sent, chosen(b, ['fwd'], there)), `${client} to ${server}`);
    t.true(arrives(answered, chosen(a, ['fwd'], back)), `${server} to ${client}`);
    names.add(sent.names.join());
  }
  t.is(names.size, 2, 'through either child');
});

test('what a client may send through DNAT to a protected port goes through the hairpin', (t) => {
  fc.assert(
    fc.property(world, fc.constantFrom(...NODES), (given, node) => {
      const { policies, cache } = planOf(given, node);
      const hairpin = planHairpin(cache);
      const missed = policies.filter(({ dir, selector: { proto, dport, dst } }) => {
        const egress = dir === 'out' && !proto.startsWith('icmp') && (cache.mesh || /\/(32|128)$/.test(dst));
        const covered = (hairpin?.ports ?? []).some(
          (range) =>
            proto === 'any' ||
            (range.proto === proto &&
              (dport === 0
                ? range.last - range.first === 65535
                : range.first <= dport && dport <= range.last)),
        );
        const [network = ''] = dst.split('/');
        const reached = [...(hairpin?.podCidrs[4] ?? []), ...(hairpin?.podCidrs[6] ?? [])].some((cidr) =>
          within(cidr, network),
        );
        const host = network.startsWith('10.0.0.');
        return egress && !host && !(covered && reached);
      });
      if (missed.length > 0) {
        throw new Error(JSON.stringify({ missed, hairpin }));
      }
    }),
    { numRuns: 500 },
  );
  t.pass();
});
