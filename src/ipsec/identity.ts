import type { PolicyKey, XfrmPolicy } from './types.ts';

/** Reqids of ours: first (inclusive) and last (inclusive). Chosen so that they are recognised at sight. */
export const REQID_FIRST = 10_000_000;
export const REQID_LAST = 19_999_999;
/** The reqid that no child ever has: a template with it is satisfied by no SA. */
export const REQID_STRANGER = REQID_LAST;

/**
 * Our priority band (a lower number wins). charon and libreswan use six-digit values, so every
 * policy of ours comes before any wider policy of theirs.
 */
export const PRIORITY_FIRST = 1_100;
export const PRIORITY_LAST = 1_199;

/** Whether a reqid and a priority together say that a policy is ours. Anything else is never touched. */
export function isOurs(reqid: number, priority: number): boolean {
  return isOurReqid(reqid) && priority >= PRIORITY_FIRST && priority <= PRIORITY_LAST;
}

export function isOurReqid(reqid: number): boolean {
  return reqid >= REQID_FIRST && reqid <= REQID_LAST;
}

export function policyKey(policy: Pick<XfrmPolicy, 'dir' | 'selector'>): PolicyKey {
  const { src, dst, proto, sport, dport } = policy.selector;
  // A template would be a tree of strings, and V8 keeps it: four times the memory.
  return [policy.dir, src, dst, proto, sport, dport].join(' ');
}
