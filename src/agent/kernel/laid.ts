import { type Pins, pin, repinned } from '../../ipsec/charon/sas/pins.ts';
import { policyKey } from '../../ipsec/plan/ours.ts';
import { type PlanPiece, sameGround } from '../../ipsec/plan/plan.ts';
import type { PolicyKey, XfrmPolicy } from '../../ipsec/plan/types.ts';
import { createSums, type Sums } from '../../ipsec/xfrm/compare/sums.ts';
import { samePolicy } from '../../ipsec/xfrm/kernel-policy.ts';
import type { Operation } from '../../ipsec/xfrm/operation.ts';
import type { NodeCache } from '../../rundir/schema.ts';
import { type KnownAttachment, policiesNamed } from './records.ts';

/** Each key once, whatever SA the policies are held to. */
type Policies = ReadonlyMap<PolicyKey, XfrmPolicy>;

/** What the kernel has of ours when a step has ended well. */
export interface Laid {
  readonly cache: NodeCache;
  readonly pins: Pins;
  readonly records: readonly KnownAttachment[];
  /** What they make is not kept: it can be made again, from the same ground. */
  readonly pieces: ReadonlyMap<string, PlanPiece>;
  readonly keys: Set<PolicyKey>;
  /** Keys that are in more than one piece. */
  readonly shared: ReadonlySet<PolicyKey>;
  /** Of all policies. The same object as long as nothing else than changes has happened. */
  readonly sums: Sums;
}

/** What the kernel should have. */
export interface Wanted {
  readonly cache: NodeCache;
  readonly pins: Pins;
  readonly records: readonly KnownAttachment[];
  readonly pieces: readonly PlanPiece[];
}

/** The whole plan, each key once; where two pieces have it, the later one's policy. Throws PlanError. */
export function lay({ pieces, ...wanted }: Wanted): { laid: Laid; policies: Policies } {
  const laid = new Map<string, PlanPiece>();
  const policies = new Map<PolicyKey, XfrmPolicy>();
  const shared = new Set<PolicyKey>();
  for (const piece of pieces) {
    const own = policiesOf(piece);
    for (const [key, policy] of own) {
      if (policies.has(key)) {
        shared.add(key);
      }
      policies.set(key, pin(policy, wanted.pins));
    }
    laid.set(piece.key, piece);
  }
  const sums = createSums(policies.values());
  return { laid: { ...wanted, pieces: laid, keys: new Set(policies.keys()), shared, sums }, policies };
}

function policiesOf({ make }: PlanPiece): Policies {
  return new Map(make().map((policy) => [policyKey(policy), policy]));
}

export interface Change {
  /** Adds and updates, then deletes. */
  readonly operations: readonly Operation[];
  /** Policies that ADD has laid, less those that DEL has removed. */
  readonly byPlugin: number;
  /** What is laid when they are done. It takes over what it was made from, which is of no more use. */
  readonly settle: () => Laid;
}

/** Pieces and records by what becomes of them. */
interface Arrangement {
  readonly staying: ReadonlyMap<string, PlanPiece>;
  readonly leaving: readonly PlanPiece[];
  readonly arriving: ReadonlyMap<PlanPiece, Policies>;
  readonly gone: readonly KnownAttachment[];
  readonly come: readonly KnownAttachment[];
}

/** What is at the address of a record that came or went begins anew. */
function arrange(laid: Laid, { pieces, records }: Pick<Wanted, 'pieces' | 'records'>): Arrangement {
  const gone = without(laid.records, records);
  const come = without(records, laid.records);
  const touched = new Set([...gone, ...come].flatMap(({ addresses }) => addresses));
  const next = new Set(pieces.map(({ key }) => key));
  const stays = ({ key, served = '' }: PlanPiece): boolean => next.has(key) && !touched.has(served);
  const staying = new Map([...laid.pieces].filter(([, piece]) => stays(piece)));
  const leaving = [...laid.pieces.values()].filter((piece) => !stays(piece));
  const arriving = new Map(
    pieces.filter(({ key }) => !staying.has(key)).map((piece) => [piece, policiesOf(piece)]),
  );
  return { staying, leaving, arriving, gone, come };
}

/**
 * From what is laid to what is wanted, without a look at the kernel: DEL has removed the policies of records that are gone, ADD has laid those
 * of records that have come. Undefined if that cannot be told: the ground has changed, two pieces share a key, or a record names other
 * policies than either cache plans. Throws PlanError.
 */
export function changeOf(laid: Laid, { pieces, ...wanted }: Wanted): Change | undefined {
  if (!sameGround(laid.cache, wanted.cache)) {
    return undefined;
  }
  const { staying, leaving, arriving, gone, come } = arrange(laid, { ...wanted, pieces });
  const caches = [laid.cache, wanted.cache];
  const [removed, added] = [policiesNamed(gone, caches), policiesNamed(come, caches)];
  if (removed === undefined || added === undefined) {
    return undefined;
  }
  const operations: Operation[] = [];
  const summed: XfrmPolicy[] = [];
  const unsummed: XfrmPolicy[] = [];
  const put = (policy: XfrmPolicy, previous: XfrmPolicy | undefined): void => {
    if (previous === undefined) {
      operations.push({ op: 'add', policy });
    } else if (!samePolicy(policy, previous) || policy.template.spi !== previous.template.spi) {
      operations.push({ op: 'update', policy, previous });
    }
  };

  const moved = repinned(laid.pins, wanted.pins);
  for (const [key, policy] of moved.size === 0 ? [] : policiesIn([...staying.values()].map(policiesOf))) {
    if (moved.has(policy.template.reqid)) {
      if (laid.shared.has(key)) {
        return undefined;
      }
      const [next, previous] = [pin(policy, wanted.pins), pin(policy, laid.pins)];
      put(next, previous);
      unsummed.push(previous);
      summed.push(next);
    }
  }

  // The set of all keys is not copied for the few that change.
  const changed = new Map<PolicyKey, boolean>();
  const held = (key: PolicyKey): boolean => changed.get(key) ?? laid.keys.has(key);
  const present = new Map<PolicyKey, XfrmPolicy>();
  for (const [key, policy] of policiesIn(leaving.map(policiesOf))) {
    if (laid.shared.has(key)) {
      return undefined;
    }
    const previous = pin(policy, laid.pins);
    changed.set(key, false);
    present.set(key, previous);
    unsummed.push(previous);
  }
  for (const policy of removed) {
    present.delete(policyKey(policy));
  }
  for (const policy of added) {
    present.set(policyKey(policy), policy);
  }
  for (const [key, policy] of policiesIn(arriving.values())) {
    if (held(key)) {
      return undefined;
    }
    const next = pin(policy, wanted.pins);
    changed.set(key, true);
    put(next, present.get(key));
    present.delete(key);
    summed.push(next);
  }
  for (const [key, policy] of present) {
    if (held(key)) {
      return undefined;
    }
    operations.push({ op: 'delete', policy });
  }

  const settle = (): Laid => {
    const { keys, shared, sums } = laid;
    for (const [key, is] of changed) {
      if (is) {
        keys.add(key);
      } else {
        keys.delete(key);
      }
    }
    unsummed.forEach(sums.remove);
    summed.forEach(sums.add);
    // The new ones, so that no former cache is kept for the sake of an old one.
    const next = new Map(pieces.map((piece) => [piece.key, piece]));
    return { ...wanted, pieces: next, keys, shared, sums };
  };
  return { operations, byPlugin: added.length - removed.length, settle };
}

function without(records: readonly KnownAttachment[], others: readonly KnownAttachment[]): KnownAttachment[] {
  const known = new Set(others);
  return records.filter((record) => !known.has(record));
}

function policiesIn(pieces: Iterable<Policies>): [PolicyKey, XfrmPolicy][] {
  return [...pieces].flatMap((policies) => [...policies]);
}
