import type { PolicyKey, Template, XfrmPolicy } from './types.ts';

/**
 * Our reqids, from first to last, both inclusive. The range is chosen so that an operator recognises them at
 * sight (docs/design.md, Reqids).
 */
export const REQID_FIRST = 10_000_000;
export const REQID_LAST = 19_999_999;
/** A reqid that no child ever has: no SA satisfies a template with it, and charon has no trap for it. */
export const REQID_STRANGER = REQID_LAST;
/** Reqid of templates for what comes in: they accept an SA of any child between the two nodes. */
export const REQID_ANY = 0;

/**
 * Our priority band; in the kernel a lower number wins (docs/design.md, Priorities). charon and libreswan use
 * six-digit priorities, so every policy of ours comes before any wider policy of theirs.
 */
export const PRIORITY_FIRST = 1_100;
export const PRIORITY_LAST = 1_199;

export function isOurPriority(priority: number): boolean {
  return priority >= PRIORITY_FIRST && priority <= PRIORITY_LAST;
}

/**
 * Whether a policy with this priority, direction and template, of ESP in tunnel mode, is ours; any other
 * policy is never changed or deleted. What comes in has no reqid that would tell, so such a policy of ours
 * must at least name both ends of a tunnel, and no whole address family.
 */
export function isOurs({
  dir,
  priority,
  selector,
  template,
}: Omit<XfrmPolicy, 'template'> & Tunnel): boolean {
  const { src, dst, reqid } = template;
  return (
    isOurPriority(priority) &&
    (isOurReqid(reqid) ||
      (reqid === REQID_ANY &&
        dir !== 'out' &&
        src !== dst &&
        ![src, dst].some((end) => ANY_ADDRESS.has(end)) &&
        ![selector.src, selector.dst].some((cidr) => cidr.endsWith('/0'))))
  );
}

interface Tunnel {
  readonly template: Pick<Template, 'src' | 'dst' | 'reqid'>;
}

const ANY_ADDRESS: ReadonlySet<string> = new Set(['0.0.0.0', '::']);

export function isIcmp(proto: string): boolean {
  return proto === 'icmp' || proto === 'icmpv6';
}

export function isOurReqid(reqid: number): boolean {
  return reqid >= REQID_FIRST && reqid <= REQID_LAST;
}

export function policyKey(policy: Pick<XfrmPolicy, 'dir' | 'selector'>): PolicyKey {
  const { src, dst, proto, sport, dport } = policy.selector;
  // Joined, not written as a template literal: V8 keeps that as a tree of strings, which takes four times the
  // memory.
  return [policy.dir, src, dst, proto, sport, dport].join(' ');
}
