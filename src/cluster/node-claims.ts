import { overlap } from '../ip/cidr.ts';
import { familyOf, hostCidr, widthOf } from '../ip/family.ts';
import { numberOf } from '../ip/number.ts';
import { unusable } from '../ip/unusable.ts';
import type { CacheNode } from '../rundir/schema.ts';
import { BOUNDS } from './bounds.ts';
import { POD_CIDRS_ANNOTATION } from './fields.ts';
import { createTaken, partsOf, type Taken } from './taken.ts';

/** The field of a Node that Kubernetes assigns. */
export const ASSIGNED_CIDRS = 'spec.podCIDRs';

/** What a Node claims to have, in canonical form; nothing is taken yet. */
export interface NodeDraft {
  readonly name: string;
  /** RFC 3339; undefined if it comes from a file. */
  readonly createdAt: string | undefined;
  /** All that it could use, the first of a family first. */
  readonly addresses: readonly string[];
  readonly podCidrs: readonly string[];
  /** Where addresses and pod CIDRs stand, as messages call it. */
  readonly fields: { readonly addresses: string; readonly podCidrs: string };
}

/** A node as it was before. */
export type KnownNode = Pick<CacheNode, 'name' | 'addresses' | 'podCidrs'>;

export interface ClaimContext {
  /** The nodes that the reader knew before: what one of them had stays its own. */
  readonly known?: readonly KnownNode[];
  /** The node that reads. */
  readonly reader?: string;
  /** Canonical addresses of Services. */
  readonly serviceAddresses?: readonly string[];
}

/** What is left of a draft, and why the rest was refused. */
export interface SettledNode {
  readonly node: CacheNode;
  readonly refused: readonly string[];
}

interface Claim {
  readonly draft: NodeDraft;
  readonly kind: 'address' | 'CIDR';
  /** The first that can be had is taken. */
  readonly cidrs: readonly string[];
  readonly known: boolean;
}

/**
 * Gives each address and each CIDR to one node. Of several that claim overlapping ones, what Kubernetes
 * assigned comes before what others say; then the node keeps its own that had it before; then comes the node
 * that reads, whose pods have their addresses whatever others say; then the older Node, then the first name,
 * so that nodes without a memory agree. A new address takes no CIDR from a node that had it. Every claim is
 * looked up by its prefix, once for each length of prefix that occurs: it costs what the claims are.
 */
export function settleClaims(
  drafts: readonly NodeDraft[],
  context: ClaimContext,
): ReadonlyMap<string, SettledNode> {
  const settled = new Map(
    drafts.map(({ name }) => [
      name,
      { addresses: [] as string[], podCidrs: [] as string[], refused: [] as string[] },
    ]),
  );
  const claims = claimsOf(drafts, context);
  const taken = createTaken(claims.flatMap(({ cidrs }) => cidrs));
  const kept = knownCidrs(claims);
  const serviceIn = serviceFinder(context.serviceAddresses ?? []);
  for (const { draft, kind, cidrs, known } of claims) {
    const own = settled.get(draft.name);
    const reasons: string[] = [];
    for (const cidr of cidrs) {
      const why =
        whyNever(cidr, kind) ??
        conflict(taken, cidr, draft.name) ??
        (kind === 'CIDR' ? ownAddressIn(cidr, draft) : undefined) ??
        (known ? undefined : serviceIn(cidr)) ??
        (known || kind === 'CIDR' ? undefined : conflict(kept, cidr, draft.name));
      if (why === undefined) {
        taken.add(cidr, { name: draft.name, text: textOf(cidr, kind) });
        own?.[kind === 'CIDR' ? 'podCidrs' : 'addresses'].push(textOf(cidr, kind));
        break;
      }
      const field = kind === 'CIDR' ? draft.fields.podCidrs : draft.fields.addresses;
      reasons.push(`${field}: ${JSON.stringify(textOf(cidr, kind))} ${why}`);
    }
    own?.refused.push(...reasons);
  }
  return new Map(
    drafts.map(({ name, podCidrs, fields }) => {
      const { addresses = [], podCidrs: cidrs = [], refused = [] } = settled.get(name) ?? {};
      const beyond = podCidrs.length - BOUNDS.podCidrsPerNode;
      const most = `${fields.podCidrs}: more than ${BOUNDS.podCidrsPerNode}: the last ${beyond} are left out`;
      return [
        name,
        {
          node: {
            name,
            addresses: addresses.sort((a, b) => familyOf(a) - familyOf(b)),
            podCidrs: cidrs.sort(),
          },
          refused: beyond > 0 ? [...refused, most] : refused,
        },
      ];
    }),
  );
}

/** The CIDRs of nodes that had them before. */
function knownCidrs(claims: readonly Claim[]): Taken {
  const kept = createTaken(claims.flatMap(({ cidrs }) => cidrs));
  for (const { draft, cidrs } of claims.filter(({ kind, known }) => kind === 'CIDR' && known)) {
    for (const cidr of cidrs) {
      kept.add(cidr, { name: draft.name, text: cidr });
    }
  }
  return kept;
}

/** All claims, the strongest first. */
function claimsOf(drafts: readonly NodeDraft[], { known = [], reader }: ClaimContext): Claim[] {
  const before = new Map(known.map((node) => [node.name, node]));
  const claims = drafts.flatMap((draft): Claim[] => {
    const had = before.get(draft.name);
    const hadCidrs = new Set(had?.podCidrs);
    const isPartOfHad = (cidr: string): boolean =>
      hadCidrs.has(cidr) || [...hadCidrs].some((one) => overlap(one, cidr) && bitsOf(one) < bitsOf(cidr));
    const addresses = [4, 6].flatMap((family): Claim[] => {
      const all = draft.addresses.filter((address) => familyOf(address) === family);
      const [first = ''] = all;
      const isKnown = had?.addresses.includes(first) ?? false;
      return all.length === 0 ? [] : [{ draft, kind: 'address', cidrs: all.map(hostCidr), known: isKnown }];
    });
    const podCidrs = draft.podCidrs
      .map((cidr): Claim => ({ draft, kind: 'CIDR', cidrs: [cidr], known: isPartOfHad(cidr) }))
      .sort((a, b) => Number(b.known) - Number(a.known))
      .slice(0, BOUNDS.podCidrsPerNode);
    return [...addresses, ...podCidrs];
  });
  const rank = ({ kind, known: isKnown, draft }: Claim): string =>
    `${weightOf(kind, draft)}${isKnown ? 0 : 1}${draft.name === reader ? 0 : 1}${draft.createdAt ?? '~'} ${draft.name}`;
  const ranked = claims.map((claim) => ({ claim, rank: rank(claim) }));
  return ranked.sort((a, b) => (a.rank < b.rank ? -1 : a.rank > b.rank ? 1 : 0)).map(({ claim }) => claim);
}

/**
 * Pod CIDRs that Kubernetes assigned come before those that an object of the primary CNI or an annotation
 * claims, whoever was first: those may be written by a node, which could squat on what another is to get.
 */
function weightOf(kind: Claim['kind'], { fields }: NodeDraft): 0 | 1 | 2 {
  if (kind === 'address' || fields.podCidrs === ASSIGNED_CIDRS) {
    return 0;
  }
  return fields.podCidrs === POD_CIDRS_ANNOTATION ? 2 : 1;
}

/** A reason that does not depend on other nodes. */
function whyNever(cidr: string, kind: Claim['kind']): string | undefined {
  const [network = '', bits = ''] = cidr.split('/');
  const shortest = BOUNDS.podCidrBits[familyOf(cidr)];
  if (kind === 'CIDR' && Number(bits) < shortest) {
    return `is refused: a node's pod CIDR has at least /${shortest}`;
  }
  const special = unusable(network);
  return special === undefined ? undefined : `is refused: ${special}`;
}

function conflict(taken: Taken, cidr: string, name: string): string | undefined {
  const other = taken.other(cidr, name);
  return other === undefined
    ? undefined
    : `is refused: ${other.text} of Node ${other.name}, which comes first, is in its way`;
}

/** Of the addresses that the node would use. */
function ownAddressIn(cidr: string, { addresses }: NodeDraft): string | undefined {
  const inside = [4, 6]
    .flatMap((family) => addresses.find((address) => familyOf(address) === family) ?? [])
    .find((address) => overlap(cidr, hostCidr(address)));
  return inside === undefined ? undefined : `is refused: it contains the node's own address ${inside}`;
}

/** Finds a Service whose address a CIDR contains; made for each length of prefix that is asked for. */
function serviceFinder(addresses: readonly string[]): (cidr: string) => string | undefined {
  const byLength = new Map<string, ReadonlyMap<bigint, string>>();
  return (cidr) => {
    const { family, bits, prefix } = partsOf(cidr);
    const key = `${family}/${bits}`;
    const shift = BigInt(widthOf(family) - bits);
    const found =
      byLength.get(key) ??
      new Map(
        addresses
          .filter((address) => familyOf(address) === family)
          .map((address) => [numberOf(address) >> shift, address]),
      );
    byLength.set(key, found);
    const address = found.get(prefix);
    return address === undefined ? undefined : `is refused: the Service address ${address} is in it`;
  };
}

function bitsOf(cidr: string): number {
  return Number(cidr.split('/')[1]);
}

function textOf(cidr: string, kind: Claim['kind']): string {
  return kind === 'CIDR' ? cidr : cidr.replace(/\/\d+$/, '');
}
