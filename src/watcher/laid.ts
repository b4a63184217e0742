import type { Attachment } from '../cache/attachment.ts';
import type { NodeCache } from '../cache/schema.ts';
import { type Pins, pin, repinned } from '../ipsec/charon/pins.ts';
import { policyKey } from '../ipsec/identity.ts';
import { type PlanPiece, sameGround } from '../ipsec/plan.ts';
import type { PolicyKey, XfrmPolicy } from '../ipsec/types.ts';
import { samePolicy } from '../ipsec/xfrm/kernel-policy.ts';
import type { Operation } from '../ipsec/xfrm/operation.ts';

/** A piece of the plan, each key once, whatever SA its policies are held to. */
interface LaidPiece {
  readonly served: string | undefined;
  readonly policies: ReadonlyMap<PolicyKey, XfrmPolicy>;
}

/** What the kernel has of ours when a step has ended well. */
export interface Laid {
  readonly cache: NodeCache;
  readonly pins: Pins;
  readonly records: readonly Attachment[];
  readonly pieces: ReadonlyMap<string, LaidPiece>;
  /** In how many pieces a key is. */
  readonly holders: Map<PolicyKey, number>;
}

/** What the kernel should have. */
export interface Wanted {
  readonly cache: NodeCache;
  readonly pins: Pins;
  readonly records: readonly Attachment[];
  readonly pieces: readonly PlanPiece[];
}

/** The whole plan; takes from `before` what is the same there. Throws PlanError. */
export function lay({ pieces, ...wanted }: Wanted, before: Laid | undefined): Laid {
  const known =
    before !== undefined && sameGround(before.cache, wanted.cache)
      ? before.pieces
      : new Map<string, LaidPiece>();
  const laid = new Map<string, LaidPiece>();
  for (const piece of pieces) {
    const made = laid.get(piece.key) ?? known.get(piece.key) ?? layPiece(piece);
    // The place of the later one counts.
    laid.delete(piece.key);
    laid.set(piece.key, made);
  }
  const holders = new Map<PolicyKey, number>();
  for (const { policies } of laid.values()) {
    for (const key of policies.keys()) {
      holders.set(key, (holders.get(key) ?? 0) + 1);
    }
  }
  return { ...wanted, pieces: laid, holders };
}

/** Each key once; where two pieces have it, the later one's. */
export function policiesLaid({ pieces, pins }: Laid): XfrmPolicy[] {
  const byKey = new Map<PolicyKey, XfrmPolicy>();
  for (const { policies } of pieces.values()) {
    for (const [key, policy] of policies) {
      byKey.set(key, pin(policy, pins));
    }
  }
  return [...byKey.values()];
}

function layPiece({ served, make }: PlanPiece): LaidPiece {
  return { served, policies: new Map(make().map((policy) => [policyKey(policy), policy])) };
}

export interface Change {
  /** Adds and updates, then deletes. */
  readonly operations: readonly Operation[];
  /** Policies that ADD has laid, less those that DEL has removed. */
  readonly byPlugin: number;
  /** What is laid when they are done. It takes over what it was made from, which is of no more use. */
  readonly settle: () => Laid;
}

/**
 * From what is laid to what is wanted, without a look at the kernel: DEL has removed the policies of records that are gone, ADD has laid those
 * of records that have come. Undefined if that cannot be told: the ground has changed, two pieces share a key, or ADD came to an address that
 * something else protected. Throws PlanError.
 */
export function changeOf(laid: Laid, { pieces, ...wanted }: Wanted): Change | undefined {
  if (!sameGround(laid.cache, wanted.cache)) {
    return undefined;
  }
  const gone = without(laid.records, wanted.records);
  const come = without(wanted.records, laid.records);
  const [left, taken] = [addressesOf(gone), addressesOf(come)];
  const touched = ({ served = '' }: Pick<LaidPiece, 'served'>): boolean =>
    left.has(served) || taken.has(served);
  const surprised = ({ served = '', policies }: LaidPiece): boolean =>
    policies.size > 0 && taken.has(served) && !left.has(served);
  if ([...laid.pieces.values()].some(surprised)) {
    return undefined;
  }

  const next = new Map(pieces.map((piece) => [piece.key, piece]));
  const staying = new Map([...laid.pieces].filter(([key, piece]) => next.has(key) && !touched(piece)));
  const leaving = [...laid.pieces].filter(([key]) => !staying.has(key)).map(([, piece]) => piece);
  const arriving = new Map(
    [...next.values()].filter(({ key }) => !staying.has(key)).map((piece) => [piece.key, layPiece(piece)]),
  );
  const operations: Operation[] = [];
  const put = (policy: XfrmPolicy, previous: XfrmPolicy | undefined): void => {
    if (previous === undefined) {
      operations.push({ op: 'add', policy });
    } else if (!samePolicy(policy, previous) || policy.template.spi !== previous.template.spi) {
      operations.push({ op: 'update', policy, previous });
    }
  };

  // Of 100,000 keys a handful changes: the map is not copied for that.
  const changed = new Map<PolicyKey, boolean>();
  const held = (key: PolicyKey): boolean => changed.get(key) ?? laid.holders.has(key);
  const isShared = (key: PolicyKey): boolean => laid.holders.get(key) !== 1 || changed.get(key) === false;
  const moved = repinned(laid.pins, wanted.pins);
  for (const [key, policy] of moved.size === 0 ? [] : policiesIn(staying.values())) {
    if (moved.has(policy.template.reqid)) {
      if (isShared(key)) {
        return undefined;
      }
      put(pin(policy, wanted.pins), pin(policy, laid.pins));
    }
  }
  const present = new Map<PolicyKey, XfrmPolicy>();
  for (const [key, policy] of policiesIn(leaving)) {
    if (isShared(key)) {
      return undefined;
    }
    changed.set(key, false);
    present.set(key, pin(policy, laid.pins));
  }
  for (const policy of gone.flatMap(({ policies }) => policies)) {
    present.delete(policyKey(policy));
  }
  for (const policy of come.flatMap(({ policies }) => policies)) {
    present.set(policyKey(policy), policy);
  }
  for (const [key, policy] of policiesIn(arriving.values())) {
    if (held(key)) {
      return undefined;
    }
    changed.set(key, true);
    put(pin(policy, wanted.pins), present.get(key));
    present.delete(key);
  }
  for (const [key, policy] of present) {
    if (held(key)) {
      return undefined;
    }
    operations.push({ op: 'delete', policy });
  }
  const settle = (): Laid => {
    const { holders } = laid;
    for (const [key, is] of changed) {
      if (is) {
        holders.set(key, 1);
      } else {
        holders.delete(key);
      }
    }
    return { ...wanted, pieces: new Map([...staying, ...arriving]), holders };
  };
  const size = (records: readonly Attachment[]): number => records.flatMap(({ policies }) => policies).length;
  return { operations, byPlugin: size(come) - size(gone), settle };
}

function without(records: readonly Attachment[], others: readonly Attachment[]): Attachment[] {
  const known = new Set(others);
  return records.filter((record) => !known.has(record));
}

function addressesOf(records: readonly Attachment[]): Set<string> {
  return new Set(records.flatMap(({ addresses }) => addresses));
}

function policiesIn(pieces: Iterable<LaidPiece>): [PolicyKey, XfrmPolicy][] {
  return [...pieces].flatMap(({ policies }) => [...policies]);
}
