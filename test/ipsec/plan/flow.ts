import { BlockList } from 'node:net';
import { buildNodeCache } from '../../../src/agent/model/model.ts';
import type { planHairpin } from '../../../src/ipsec/hairpin/plan.ts';
import { planConnections } from '../../../src/ipsec/plan/connections.ts';
import { PRIORITY_FIRST, REQID_ANY } from '../../../src/ipsec/plan/ours.ts';
import { planPolicies } from '../../../src/ipsec/plan/plan.ts';
import { KINDS } from '../../../src/ipsec/plan/policies/maker.ts';
import type { Direction, XfrmPolicy } from '../../../src/ipsec/plan/types.ts';
import type { NodeName, World } from '../../helpers/unit/worlds.ts';

/** What a node's policies do with a packet: a model of the kernel's choice, for the tests that compare two nodes. */

/** Whatever child brings it. */
const ANY = 'any child';

export interface NodePlan {
  readonly policies: readonly XfrmPolicy[];
  /** reqid to the child as both ends name it: `<child> of <serving node>`. */
  readonly children: ReadonlyMap<number, string>;
  readonly cache: Parameters<typeof planHairpin>[0];
}

export function planOf({ objects, pods, scope }: World, nodeName: NodeName): NodePlan {
  const { content } = buildNodeCache({
    objects,
    nodeName,
    childSaScope: scope,
    previous: null,
    knownItems: new Map(),
    now: 0,
  });
  const cache = { schema: 1 as const, generation: 1, writtenAt: 0, ...content };
  const attachments = pods
    .filter(({ node }) => node === nodeName)
    .map(({ name, addresses }) => ({ pod: { namespace: 'ns', name, uid: name }, addresses: [...addresses] }));
  const children = new Map([[REQID_ANY, ANY]]);
  for (const { peer, children: configs } of planConnections(cache)) {
    for (const { name, reqid } of configs) {
      const child = name.replace(/_(e|in)gress$/, '');
      children.set(
        reqid,
        name === child ? child : `${child} of ${name.endsWith('_egress') ? peer : nodeName}`,
      );
    }
  }
  return { policies: planPolicies(cache, attachments), children, cache };
}

export interface Flow {
  readonly src: string;
  readonly dst: string;
  readonly proto: string;
  readonly sport: number;
  readonly dport: number;
}

export function within(cidr: string, address: string): boolean {
  const [network = '', bits] = cidr.split('/');
  const family = network.includes(':') ? 'ipv6' : 'ipv4';
  const list = new BlockList();
  list.addSubnet(network, Number(bits), family);
  return list.check(address, address.includes(':') ? 'ipv6' : 'ipv4');
}

export interface Chosen {
  /** The children that the kernel can choose, with the tunnel's ends. Among equal policies it takes the older: more than one name would be chance. */
  readonly names: readonly string[];
  /** Plaintext is let in as well. */
  readonly lenient: boolean;
  /** By the policy of a protected address, not by one for endpoints that are not listed yet. */
  readonly listed: boolean;
}

/** What the matching policies of the best priority say of a packet. */
export function chosen(
  { policies, children }: NodePlan,
  directions: readonly Direction[],
  flow: Flow,
): Chosen {
  const matching = policies.filter(
    ({ dir, selector: { src, dst, proto, sport, dport } }) =>
      directions.includes(dir) &&
      (proto === 'any' || proto === flow.proto) &&
      (sport === 0 || sport === flow.sport) &&
      (dport === 0 || dport === flow.dport) &&
      within(src, flow.src) &&
      within(dst, flow.dst),
  );
  const best = Math.min(...matching.map(({ priority }) => priority));
  const first = matching.filter(({ priority }) => priority === best);
  const names = first.map(
    ({ template: { src, dst, reqid } }) => `${children.get(reqid) ?? `reqid ${reqid}`}, ${src} to ${dst}`,
  );
  return {
    names: [...new Set(names)],
    lenient: first.every(({ template }) => template.level === 'use'),
    listed: best < PRIORITY_FIRST + KINDS.unlisted,
  };
}

/** What is sent is let in, and under no other name unless all are. */
export function arrives(sent: Chosen, received: Chosen): boolean {
  const [name = '', ...others] = sent.names;
  const [, ends] = name.split(', ');
  return name === ''
    ? received.lenient
    : others.length === 0 && [name, `${ANY}, ${ends}`].includes(received.names.join(' or '));
}
