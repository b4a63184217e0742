import { overlap } from '../../ip/cidr.ts';
import { policyKey } from '../../ipsec/plan/ours.ts';
import { isEveryPort } from '../../ipsec/plan/ports.ts';
import type { Direction, PolicyKey, Selector, XfrmPolicy } from '../../ipsec/plan/types.ts';
import { XfrmError } from '../../ipsec/xfrm/error.ts';
import type { Operation } from '../../ipsec/xfrm/operation.ts';
import type { Isolation, Refusal } from '../../ipsec/xfrm/write/apply.ts';
import { renderOperation } from '../../ipsec/xfrm/write/render.ts';

/** So many are left out at the most. With more, it is not the policies that are wrong. */
const MOST = 256;
/** How long a refused operation is left out before it is tried again: the first time, and at most. */
const FIRST_MS = 20_000;
const LATEST_MS = 600_000;
/** How long nothing is isolated after a step for which that was in vain: the first time, and at most. */
const FIRST_REST_MS = 2_000;
const LATEST_REST_MS = 60_000;

/**
 * While an operation is left out, nothing is deleted that holds what the refused policy was to hold: what is
 * protected today stays protected, if only by the policies of before.
 */
const needs: Isolation['needs'] = (later, refused) =>
  later.op === 'delete' &&
  refused.op !== 'delete' &&
  later.policy.dir === refused.policy.dir &&
  meet(later.policy.selector, refused.policy.selector);

/** Whether a packet can match both. A CIDR that nobody can read may be any. */
function meet(a: Selector, b: Selector): boolean {
  const either = <T>(x: T, y: T, any: (value: T) => boolean): boolean => x === y || any(x) || any(y);
  const cidrs = (x: string, y: string): boolean => {
    try {
      return overlap(x, y);
    } catch {
      return true;
    }
  };
  return (
    either(a.proto, b.proto, (proto) => proto === 'any') &&
    either(a.sport, b.sport, isEveryPort) &&
    either(a.dport, b.dport, isEveryPort) &&
    cidrs(a.src, b.src) &&
    cidrs(a.dst, b.dst)
  );
}

interface LeftOut extends Refusal {
  readonly line: string;
  readonly pauseMs: number;
  readonly until: number;
}

/** What the kernel has refused, so that each step leaves it out and, now and then, one tries it again. */
export interface Refused {
  /**
   * The operations that are to be tried now, and how: those that were refused are left out for a time, and
   * with them what needs them.
   */
  sift(whole: readonly Operation[]): {
    readonly operations: readonly Operation[];
    readonly isolation: Isolation;
  };
  /**
   * Takes what became of the operations. Returns those that took effect, and one text for each that is left
   * out: the policy, and what `ip` said. Throws XfrmError `refused` if nothing at all of a direction can be
   * laid.
   */
  note(step: Step): { readonly done: readonly Operation[]; readonly texts: readonly string[] };
  /**
   * Takes the error of a step, and throws it. If it was in vain that operations were isolated, it is not for
   * them that they are refused: for a while the first one that is refused fails its step, which costs little.
   */
  fail(error: unknown): never;
}

interface Step {
  /** All that leads to the plan. */
  readonly whole: readonly Operation[];
  /** What was tried of it. */
  readonly operations: readonly Operation[];
  readonly refusals: readonly Refusal[];
  readonly planned: ReadonlyMap<PolicyKey, XfrmPolicy>;
}

type LeftOuts = ReadonlyMap<PolicyKey, LeftOut>;

/** `uptime`: milliseconds of a clock that nobody can set. */
export function createRefused(uptime: () => number): Refused {
  let leftOut: LeftOuts = new Map();
  let rest = { ms: 0, until: Number.NEGATIVE_INFINITY };

  const fail = (error: unknown): never => {
    const vain = error instanceof XfrmError && error.failure.reason === 'refused';
    if (vain && uptime() >= rest.until) {
      const ms = Math.min(2 * rest.ms || FIRST_REST_MS, LATEST_REST_MS);
      rest = { ms, until: uptime() + ms };
    }
    throw error;
  };

  const after = ({ whole, operations, refusals }: Step): LeftOuts => {
    const tried = new Set(operations);
    const waiting = whole.filter((operation) => !tried.has(operation));
    const kept = waiting.flatMap(({ policy }) => leftOut.get(policyKey(policy)) ?? []);
    const fresh = refusals.map(({ operation, said }): LeftOut => {
      const line = renderOperation(operation);
      const before = leftOut.get(policyKey(operation.policy));
      const pauseMs = before?.line === line ? Math.min(2 * before.pauseMs, LATEST_MS) : FIRST_MS;
      return { operation, said, line, pauseMs, until: uptime() + pauseMs };
    });
    return new Map([...kept, ...fresh].map((each) => [policyKey(each.operation.policy), each]));
  };

  return {
    fail,
    sift(whole) {
      const now = uptime();
      const waiting = whole.filter((operation) => {
        const before = leftOut.get(policyKey(operation.policy));
        return before !== undefined && before.until > now && before.line === renderOperation(operation);
      });
      const out = new Set(waiting);
      const operations =
        waiting.length === 0
          ? whole
          : whole.filter((each) => !out.has(each) && !waiting.some((refused) => needs(each, refused)));
      return { operations, isolation: { most: now < rest.until ? 0 : MOST - waiting.length, needs } };
    },
    note(step) {
      const next = after(step);
      try {
        assertSome(step.planned, next);
      } catch (error) {
        fail(error);
      }
      leftOut = next;
      rest = { ms: 0, until: Number.NEGATIVE_INFINITY };
      const out = new Set(step.refusals.map(({ operation }) => operation));
      return {
        done: out.size === 0 ? step.operations : step.operations.filter((operation) => !out.has(operation)),
        texts: [...leftOut.values()].map(({ line, said }) => `ip ${line}: ${said}`),
      };
    },
  };
}

/** Throws XfrmError `refused` if nothing of a direction can be laid. */
function assertSome(planned: ReadonlyMap<PolicyKey, XfrmPolicy>, leftOut: LeftOuts): void {
  if (leftOut.size === 0) {
    return;
  }
  for (const dir of ['out', 'fwd', 'in'] as const) {
    const missing = [...leftOut.values()].filter(
      ({ operation: { op, policy } }) => op === 'add' && policy.dir === dir,
    );
    const [first] = missing;
    if (first !== undefined && missing.length === countOf(planned, dir)) {
      const { operation, line, said } = first;
      const text = `all ${missing.length} policies of direction ${dir} refused, among them ip ${line}: ${said}`;
      throw new XfrmError({ reason: 'refused', operation, line, said }, text);
    }
  }
}

function countOf(planned: ReadonlyMap<PolicyKey, XfrmPolicy>, dir: Direction): number {
  return [...planned.values()].filter((policy) => policy.dir === dir).length;
}
