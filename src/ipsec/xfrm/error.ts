import { policyKey } from '../plan/ours.ts';
import type { XfrmPolicy } from '../plan/types.ts';
import type { ForeignPolicy } from './kernel-policy.ts';
import type { Operation } from './operation.ts';

/** A key at which we want a policy and another's policy stands. That policy is never changed or deleted. */
export interface Conflict {
  readonly desired: XfrmPolicy;
  readonly foreign: ForeignPolicy;
}

export type XfrmFailure =
  /** The machine cannot do it at all: no `ip`, no CAP_NET_ADMIN, no CONFIG_XFRM_USER in the kernel. */
  | { readonly reason: 'no-iproute2' | 'not-permitted' | 'no-xfrm' }
  /** `ip` was killed or ran out of time: part of its work may be done. */
  | { readonly reason: 'interrupted' }
  /** Nothing was changed, or what was changed has been undone. */
  | { readonly reason: 'conflict'; readonly conflicts: readonly Conflict[] }
  | {
      readonly reason: 'refused';
      readonly operation: Operation;
      readonly line: string;
      readonly said: string;
    }
  /**
   * `cause` is the error that made the undo necessary; `left` has the operations that could not be undone, in
   * the order in which they were done.
   */
  | { readonly reason: 'undo-failed'; readonly left: readonly Operation[] }
  | { readonly reason: 'command-failed'; readonly said: string }
  | { readonly reason: 'unreadable'; readonly line: string };

/** What can go wrong with the kernel's policies and SAs; branch on `failure.reason`. */
export class XfrmError extends Error {
  override readonly name = 'XfrmError';
  readonly failure: XfrmFailure;

  constructor(failure: XfrmFailure, message: string, options?: ErrorOptions) {
    super(message, options);
    this.failure = failure;
  }
}

export function conflictError(conflicts: readonly Conflict[]): XfrmError {
  const said = conflicts.map(({ desired, foreign }) => {
    const reqids = foreign.templates.map((template) => template.reqid).join(',') || 'none';
    return `${policyKey(desired)}: held by a policy that is not ours (priority ${foreign.priority}, reqid ${reqids})`;
  });
  return new XfrmError({ reason: 'conflict', conflicts }, said.join('; '));
}
