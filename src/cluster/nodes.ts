import { rememberedAddress, rememberedCidr } from '../ip/remembered.ts';
import type { CacheNode } from '../rundir/schema.ts';
import { ADDRESSES_ANNOTATION, POD_CIDRS_ANNOTATION } from './fields.ts';
import {
  type ClaimContext,
  type KnownNode,
  type NodeDraft,
  type SettledNode,
  settleClaims,
} from './node-claims.ts';
import type { ClusterObjects, Node, ObjectProblem } from './objects.ts';

const POD_CIDRS = 'spec.podCIDRs';
const ADDRESSES = 'status.addresses';
/** How many refused values a node's problem names. */
const REFUSED_SHOWN = 3;

export { ADDRESSES_ANNOTATION, POD_CIDRS_ANNOTATION };

export interface ParsedNodes {
  /** Sorted by name. */
  readonly nodes: readonly CacheNode[];
  /** By name of each Node: what it is, or why it can have no tunnel. */
  readonly verdicts: ReadonlyMap<string, CacheNode | string>;
  /** One for each Node at most. */
  readonly problems: readonly ObjectProblem[];
}

/** Objects of the primary CNI that say where pods are. */
export type PodCidrSources = Pick<ClusterObjects, 'blockAffinities' | 'ciliumNodes'>;

export interface NodeContext extends PodCidrSources, ClaimContext {
  /** What a Node that says nothing usable now had before, if that stays in force. */
  readonly whatItHad?: (name: string) => KnownNode | undefined;
}

/**
 * The nodes with which a tunnel is possible: those with an address and pod CIDRs. A node that has none yet,
 * or a malformed one, is left out and reported. A CIDR or address that belongs to another node, or that no
 * node can have, is left out alone (node-claims.ts).
 */
export function parseNodes(objects: readonly Node[], context: NodeContext = {}): ParsedNodes {
  const blocks = blocksByNode(context);
  const sorted = [...objects].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  const read = new Map(sorted.map((object) => [object.metadata.name, readNode(object, blocks)]));
  /** What a node had takes the place of what it says. */
  const had = (name: string): NodeDraft | undefined => {
    const known = context.whatItHad?.(name);
    const fields = { addresses: ADDRESSES, podCidrs: blocks?.field ?? POD_CIDRS };
    return known === undefined ? undefined : { ...known, createdAt: undefined, fields };
  };
  const drafts = [...read].flatMap(([name, draft]) =>
    typeof draft === 'string' ? (had(name) ?? []) : draft,
  );
  const first = settleClaims(drafts, context);
  const again = drafts.map((draft) => (isBare(first.get(draft.name)) ? (had(draft.name) ?? draft) : draft));
  const replaced = new Set(again.filter((draft, index) => draft !== drafts[index]).map(({ name }) => name));
  const settled = replaced.size > 0 ? settleClaims(again, context) : first;
  const verdicts = new Map<string, CacheNode | string>();
  const problems: ObjectProblem[] = [];
  for (const [name, draft] of read) {
    const result = settled.get(name);
    const refused = (replaced.has(name) ? first : settled).get(name)?.refused ?? [];
    const message = typeof draft === 'string' ? draft : refused.length === 0 ? undefined : summary(refused);
    verdicts.set(name, result === undefined || isBare(result) ? (message ?? 'none yet') : result.node);
    problems.push(...(message === undefined ? [] : [{ where: `Node ${name}`, message }]));
  }
  const nodes = [...verdicts.values()].filter((verdict) => typeof verdict !== 'string');
  return { nodes, verdicts, problems };
}

function isBare(settled: SettledNode | undefined): boolean {
  return settled?.node.addresses.length === 0 || settled?.node.podCidrs.length === 0;
}

/** One message for all that was refused of a node: the first few, and how many more there are. */
function summary(refused: readonly string[]): string {
  const more = refused.length - REFUSED_SHOWN;
  return [...refused.slice(0, REFUSED_SHOWN), ...(more > 0 ? [`and ${more} more`] : [])].join('; ');
}

/** Pod CIDRs as the primary CNI keeps them. */
interface Blocks {
  /** The field that they are in, as messages call it. */
  readonly field: string;
  readonly byNode: ReadonlyMap<string, readonly string[]>;
}

/**
 * Undefined if the primary CNI keeps no pod CIDRs. Where it does, `spec.podCIDRs` of a Node does not say
 * where pods are.
 */
function blocksByNode({ blockAffinities = [], ciliumNodes = [] }: PodCidrSources): Blocks | undefined {
  const affine = blockAffinities.filter(
    ({ spec }) => String(spec.deleted ?? false) !== 'true' && (spec.state ?? 'confirmed') === 'confirmed',
  );
  if (affine.length > 0) {
    const grouped = Map.groupBy(affine, ({ spec }) => spec.node);
    const byNode = new Map([...grouped].map(([name, own]) => [name, own.map(({ spec }) => spec.cidr)]));
    return { field: 'BlockAffinity spec.cidr', byNode };
  }
  const own = ciliumNodes.filter(({ spec }) => (spec?.ipam?.podCIDRs ?? []).length > 0);
  return own.length === 0
    ? undefined
    : {
        field: 'CiliumNode spec.ipam.podCIDRs',
        byNode: new Map(own.map(({ metadata, spec }) => [metadata.name, spec?.ipam?.podCIDRs ?? []])),
      };
}

/** What the node claims, or why it can have no tunnel: `<field>: <reason>`. */
function readNode({ metadata, spec, status }: Node, blocks: Blocks | undefined): NodeDraft | string {
  const override = metadata.annotations?.[POD_CIDRS_ANNOTATION];
  const field = blocks?.field ?? POD_CIDRS;
  const declared =
    blocks === undefined
      ? (spec?.podCIDRs ?? (spec?.podCIDR ? [spec.podCIDR] : []))
      : (blocks.byNode.get(metadata.name) ?? []);
  const fields = {
    podCidrs: override === undefined ? field : POD_CIDRS_ANNOTATION,
    addresses: metadata.annotations?.[ADDRESSES_ANNOTATION] === undefined ? ADDRESSES : ADDRESSES_ANNOTATION,
  };
  const cidrs = canonicalAll(fields.podCidrs, override?.split(',') ?? declared, rememberedCidr);
  const given = metadata.annotations?.[ADDRESSES_ANNOTATION];
  const internal = (status?.addresses ?? []).filter(({ type }) => type === 'InternalIP');
  const addresses = canonicalAll(
    fields.addresses,
    given?.split(',') ?? internal.map(({ address }) => address),
    rememberedAddress,
  );
  if (typeof cidrs === 'string') {
    return cidrs;
  }
  if (typeof addresses === 'string') {
    return addresses;
  }
  if (addresses.length === 0) {
    return `${ADDRESSES}: no InternalIP yet`;
  }
  const { name, creationTimestamp: createdAt } = metadata;
  return cidrs.length === 0
    ? `${field}: none yet`
    : { name, createdAt, addresses, podCidrs: [...new Set(cidrs)].sort(), fields };
}

/** All values in canonical form, or which one is malformed. */
function canonicalAll(
  field: string,
  texts: readonly string[],
  canonical: (text: string) => string | undefined,
): string[] | string {
  const values: string[] = [];
  for (const text of texts) {
    const value = canonical(text);
    if (value === undefined) {
      return `${field}: ${JSON.stringify(text)} is malformed`;
    }
    values.push(value);
  }
  return values;
}
