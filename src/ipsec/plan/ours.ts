import type { Direction, PolicyKey, SelectorProtocol, XfrmPolicy } from './types.ts';

/** Reqids of ours: first (inclusive) and last (inclusive). Chosen so that they are recognised at sight. */
export const REQID_FIRST = 10_000_000;
export const REQID_LAST = 19_999_999;
/** The reqid that no child ever has: a template with it is satisfied by no SA. */
export const REQID_STRANGER = REQID_LAST;
/** In a template of what comes in: an SA of whichever child between the two nodes. */
export const REQID_ANY = 0;

/**
 * Our priority band (a lower number wins). charon and libreswan use six-digit values, so every
 * policy of ours comes before any wider policy of theirs.
 */
export const PRIORITY_FIRST = 1_100;
export const PRIORITY_LAST = 1_199;

export function isOurPriority(priority: number): boolean {
  return priority >= PRIORITY_FIRST && priority <= PRIORITY_LAST;
}

/** A policy of ours has one of these reqids and a priority of ours. Anything else is never touched. */
export function mayHaveReqid(reqid: number, dir: Direction, proto: SelectorProtocol): boolean {
  return isOurReqid(reqid) || (reqid === REQID_ANY && dir !== 'out' && isIcmp(proto));
}

export function isIcmp(proto: SelectorProtocol): boolean {
  return proto === 'icmp' || proto === 'icmpv6';
}

export function isOurReqid(reqid: number): boolean {
  return reqid >= REQID_FIRST && reqid <= REQID_LAST;
}

export function policyKey(policy: Pick<XfrmPolicy, 'dir' | 'selector'>): PolicyKey {
  const { src, dst, proto, sport, dport } = policy.selector;
  // A template would be a tree of strings, and V8 keeps it: four times the memory.
  return [policy.dir, src, dst, proto, sport, dport].join(' ');
}
