import * as fc from 'fast-check';
import {
  PRIORITY_FIRST,
  PRIORITY_LAST,
  policyKey,
  REQID_ANY,
  REQID_FIRST,
  REQID_LAST,
} from '../../../src/ipsec/plan/ours.ts';
import type { Direction, Selector, Template, XfrmPolicy } from '../../../src/ipsec/plan/types.ts';
import type { KernelPolicy, TablePolicy } from '../../../src/ipsec/xfrm/kernel-policy.ts';

const DNS: Selector = { src: '10.1.0.3/32', dst: '10.2.0.0/24', proto: 'udp', sport: 53, dport: 0 };

export function selector(parts: Partial<Selector> = {}): Selector {
  return { ...DNS, ...parts };
}

/** A policy of ours: DNS answers of one pod, unless told otherwise. */
export function policy(
  parts: Partial<Pick<XfrmPolicy, 'dir' | 'selector' | 'priority'> & Template> = {},
): XfrmPolicy {
  const { dir = 'out', selector: chosen = DNS, priority = PRIORITY_FIRST, ...template } = parts;
  return {
    dir,
    selector: chosen,
    priority,
    template: { src: '192.168.0.1', dst: '192.168.0.2', reqid: 10_000_001, level: 'required', ...template },
  };
}

/** The same policy as the kernel gives it back. */
export function inKernel({ dir, selector: chosen, priority, template }: XfrmPolicy): TablePolicy {
  return {
    kind: 'policy',
    dir,
    selector: chosen,
    priority,
    action: 'allow',
    templates: [{ ...template, proto: 'esp', spi: 0, mode: 'tunnel' }],
    flags: [],
  };
}

const ends = fc.constantFrom(
  ['10.1.0.3/32', '10.2.0.0/24'],
  ['10.2.0.0/24', '10.1.0.3/32'],
  ['10.1.0.4/32', '0.0.0.0/0'],
  ['fd00::1/128', 'fd01::/64'],
  ['fd01:0:0:1::/64', 'fd00::1/128'],
  ['::/0', 'fd00::ffff:1/128'],
);

/** Selectors that `ip` accepts, few enough that two lists of them meet. */
const selectors: fc.Arbitrary<Selector> = fc
  .tuple(
    ends,
    fc.constantFrom<Selector['proto'][]>('any', 'tcp', 'udp', 'sctp', 'icmp', 'icmpv6'),
    fc.constantFrom(0, 53, 65_535),
    fc.constantFrom(0, 53, 1),
  )
  .map(([[src = '', dst = ''], proto, sport, dport]) => {
    const ports = proto === 'any' || proto.startsWith('icmp') ? { sport: 0, dport: 0 } : { sport, dport };
    return { src, dst, proto, ...ports };
  });

const templateEnds = fc.constantFrom(['192.168.0.1', '192.168.0.2'], ['fd11::1', 'fd11::2']);

/** Any policy of ours that the kernel takes: it refuses `level use` in the direction out. */
export const policies: fc.Arbitrary<XfrmPolicy> = fc
  .tuple(
    fc.constantFrom<Direction[]>('in', 'out', 'fwd'),
    selectors,
    fc.integer({ min: PRIORITY_FIRST, max: PRIORITY_LAST }),
    templateEnds,
    fc.integer({ min: REQID_FIRST, max: REQID_LAST }),
    fc.constantFrom<Template['level'][]>('required', 'use'),
    fc.boolean(),
  )
  .map(([dir, chosen, priority, [src = '', dst = ''], reqid, level, any]) => {
    const whole = chosen.src.endsWith('/0') || chosen.dst.endsWith('/0');
    return policy({
      dir,
      selector: chosen,
      priority,
      src,
      dst,
      // What an agent of before laid for what comes in names a child; so does what keeps strangers out.
      reqid: dir !== 'out' && any && !whole ? REQID_ANY : reqid,
      level: dir === 'out' ? 'required' : level,
    });
  });

/** A list without a key twice, as a plan has it. */
export function policyList(maxLength: number): fc.Arbitrary<XfrmPolicy[]> {
  return fc.uniqueArray(policies, { maxLength, selector: policyKey });
}

const foreignChanges: readonly ((own: TablePolicy) => TablePolicy)[] = [
  (own) => ({ ...own, priority: PRIORITY_LAST + 1 }),
  (own) => ({ ...own, action: 'block' }),
  (own) => ({ ...own, flags: ['icmp'] }),
  (own) => ({ ...own, templates: [] }),
  (own) => ({ ...own, templates: [...own.templates, ...own.templates] }),
  (own) => ({ ...own, templates: own.templates.map((one) => ({ ...one, reqid: REQID_LAST + 1 })) }),
  (own) => ({ ...own, templates: own.templates.map((one) => ({ ...one, mode: 'transport' })) }),
  (own) => ({ ...own, templates: own.templates.map((one) => ({ ...one, proto: 'ah' })) }),
  // Without a reqid it is ours only if it is for what comes in, by a tunnel that has two ends.
  ...[
    { dir: 'out' as const, ends: {} },
    { dir: 'fwd' as const, ends: { src: '0.0.0.0' } },
    { dir: 'in' as const, ends: { dst: '::' } },
    { dir: 'fwd' as const, ends: { src: '192.168.0.1', dst: '192.168.0.1' } },
  ].map(({ dir, ends: changed }) => (own: TablePolicy) => ({
    ...own,
    dir,
    templates: own.templates.map((one) => ({ ...one, reqid: REQID_ANY, ...changed })),
  })),
  (own) => ({
    ...own,
    dir: 'fwd',
    selector: { ...own.selector, src: '0.0.0.0/0' },
    templates: own.templates.map((one) => ({ ...one, reqid: REQID_ANY })),
  }),
  // What is sent may be held to one SA.
  (own) => ({
    ...own,
    dir: own.dir === 'out' ? 'in' : own.dir,
    templates: own.templates.map((one) => ({ ...one, spi: 1 })),
  }),
];

/** A policy of another at a key that ours could have: like ours but for one thing. */
export const foreignPolicies: fc.Arbitrary<TablePolicy> = fc
  .tuple(policies, fc.constantFrom(...foreignChanges))
  .map(([own, change]) => change(inKernel(own)));

/** A policy of another that shares no key with ours. */
export const asidePolicies: fc.Arbitrary<KernelPolicy> = fc.oneof(
  fc.constant<KernelPolicy>({
    kind: 'opaque',
    text: 'src 0.0.0.0/0 dst 0.0.0.0/0 \n\tsocket out priority 0 ptype main',
  }),
  policies.map((own): KernelPolicy => ({ ...inKernel(own), mark: { value: 4, mask: 255 } })),
  policies.map((own): KernelPolicy => ({ ...inKernel(own), ifId: 42 })),
);
