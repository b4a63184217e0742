import { type Pins, pin, repinned } from '../../ipsec/charon/sas/pins.ts';
import { policyKey } from '../../ipsec/plan/ours.ts';
import { decisive, type PlanPiece, sameGround } from '../../ipsec/plan/plan.ts';
import type { PolicyKey, XfrmPolicy } from '../../ipsec/plan/types.ts';
import { createSums, type Sums } from '../../ipsec/xfrm/compare/sums.ts';
import { samePolicy } from '../../ipsec/xfrm/kernel-policy.ts';
import type { Operation } from '../../ipsec/xfrm/operation.ts';
import type { NodeCache } from '../../rundir/schema.ts';
import { policiesNamed, type RememberedRecord } from './records.ts';

/** Policies by key, pinned to an SA or not. */
type Policies = ReadonlyMap<PolicyKey, XfrmPolicy>;

/** What the kernel has of ours, and what that was made from, as the last step that ended well left it. */
export interface InForce {
  readonly cache: NodeCache;
  readonly pins: Pins;
  readonly records: readonly RememberedRecord[];
  /** The plan's pieces by key. Their policies are not kept: a piece makes the same ones again. */
  readonly pieces: ReadonlyMap<string, PlanPiece>;
  readonly keys: Set<PolicyKey>;
  /** Keys that are in more than one piece. */
  readonly shared: ReadonlySet<PolicyKey>;
  /** Checksums of all policies. Another object after the kernel was compared as a whole. */
  readonly sums: Sums;
}

/** What the kernel should have. */
export interface Wanted {
  readonly cache: NodeCache;
  readonly pins: Pins;
  readonly records: readonly RememberedRecord[];
  readonly pieces: readonly PlanPiece[];
}

/**
 * All policies that are wanted, by key, and what is in force once the kernel has them. Where two pieces have
 * a policy of one key, the decisive one stays. Throws PlanError.
 */
export function wholePlan({ pieces, ...wanted }: Wanted): { inForce: InForce; policies: Policies } {
  const byKey = new Map<string, PlanPiece>();
  const policies = new Map<PolicyKey, XfrmPolicy>();
  const shared = new Set<PolicyKey>();
  for (const piece of pieces) {
    const own = policiesOf(piece);
    for (const [key, policy] of own) {
      if (policies.has(key)) {
        shared.add(key);
      }
      policies.set(key, decisive(policies.get(key), pin(policy, wanted.pins)));
    }
    byKey.set(piece.key, piece);
  }
  const sums = createSums(policies.values());
  return { inForce: { ...wanted, pieces: byKey, keys: new Set(policies.keys()), shared, sums }, policies };
}

function policiesOf({ make }: PlanPiece): Policies {
  const policies = new Map<PolicyKey, XfrmPolicy>();
  for (const policy of make()) {
    const key = policyKey(policy);
    policies.set(key, decisive(policies.get(key), policy));
  }
  return policies;
}

export interface Change {
  /** Adds and updates, then deletes. */
  readonly operations: readonly Operation[];
  /** How many policies ADD has laid, less those that DEL has removed. */
  readonly byPlugin: number;
  /**
   * Call it once the operations took effect: returns what is in force then. It reuses the sets of the value
   * before, which must not be used any more.
   */
  readonly done: () => InForce;
}

/** Pieces of the plan and attachment records, by what becomes of them. */
interface Arrangement {
  readonly staying: ReadonlyMap<string, PlanPiece>;
  readonly leaving: readonly PlanPiece[];
  readonly arriving: ReadonlyMap<PlanPiece, Policies>;
  readonly gone: readonly RememberedRecord[];
  readonly come: readonly RememberedRecord[];
}

/** A piece about the address of a record that came or went counts as new: ADD or DEL was at its policies. */
function arrange(inForce: InForce, { pieces, records }: Pick<Wanted, 'pieces' | 'records'>): Arrangement {
  const gone = without(inForce.records, records);
  const come = without(records, inForce.records);
  const touched = new Set([...gone, ...come].flatMap(({ addresses }) => addresses));
  const next = new Set(pieces.map(({ key }) => key));
  const stays = ({ key, served = '' }: PlanPiece): boolean => next.has(key) && !touched.has(served);
  const staying = new Map([...inForce.pieces].filter(([, piece]) => stays(piece)));
  const leaving = [...inForce.pieces.values()].filter((piece) => !stays(piece));
  const arriving = new Map(
    pieces.filter(({ key }) => !staying.has(key)).map((piece) => [piece, policiesOf(piece)]),
  );
  return { staying, leaving, arriving, gone, come };
}

/**
 * The operations that lead from what is in force to what is wanted, without a look at the kernel: DEL has
 * removed the policies of records that are gone, ADD has laid those of records that have come. Undefined if
 * that cannot be told: the ground has changed, two pieces share a key, or a record names other policies than
 * either cache plans. Throws PlanError.
 */
export function changeOf(inForce: InForce, { pieces, ...wanted }: Wanted): Change | undefined {
  if (!sameGround(inForce.cache, wanted.cache)) {
    return undefined;
  }
  const { staying, leaving, arriving, gone, come } = arrange(inForce, { ...wanted, pieces });
  const caches = [inForce.cache, wanted.cache];
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

  const moved = repinned(inForce.pins, wanted.pins);
  for (const [key, policy] of moved.size === 0 ? [] : policiesIn([...staying.values()].map(policiesOf))) {
    if (moved.has(policy.template.reqid)) {
      if (inForce.shared.has(key)) {
        return undefined;
      }
      const [next, previous] = [pin(policy, wanted.pins), pin(policy, inForce.pins)];
      put(next, previous);
      unsummed.push(previous);
      summed.push(next);
    }
  }

  // Only the keys that change are noted: a copy of the set of all keys would cost more than the rest.
  const changed = new Map<PolicyKey, boolean>();
  const isKept = (key: PolicyKey): boolean => changed.get(key) ?? inForce.keys.has(key);
  const present = new Map<PolicyKey, XfrmPolicy>();
  for (const [key, policy] of policiesIn(leaving.map(policiesOf))) {
    if (inForce.shared.has(key)) {
      return undefined;
    }
    const previous = pin(policy, inForce.pins);
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
    if (isKept(key)) {
      return undefined;
    }
    const next = pin(policy, wanted.pins);
    changed.set(key, true);
    put(next, present.get(key));
    present.delete(key);
    summed.push(next);
  }
  for (const [key, policy] of present) {
    if (isKept(key)) {
      return undefined;
    }
    operations.push({ op: 'delete', policy });
  }

  const done = (): InForce => {
    const { keys, shared, sums } = inForce;
    for (const [key, is] of changed) {
      if (is) {
        keys.add(key);
      } else {
        keys.delete(key);
      }
    }
    unsummed.forEach(sums.remove);
    summed.forEach(sums.add);
    // The new pieces, although they make the same: an old one would keep the cache alive that it was made
    // from.
    const next = new Map(pieces.map((piece) => [piece.key, piece]));
    return { ...wanted, pieces: next, keys, shared, sums };
  };
  return { operations, byPlugin: added.length - removed.length, done };
}

function without(
  records: readonly RememberedRecord[],
  others: readonly RememberedRecord[],
): RememberedRecord[] {
  const excluded = new Set(others);
  return records.filter((record) => !excluded.has(record));
}

function policiesIn(pieces: Iterable<Policies>): [PolicyKey, XfrmPolicy][] {
  return [...pieces].flatMap((policies) => [...policies]);
}
