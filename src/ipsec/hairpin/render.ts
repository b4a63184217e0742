import type { Hairpin, PortRange } from './plan.ts';

/** The two ends of the veth pair: packets leave through the first and come in through the second. */
export const LINKS = ['trapline0', 'trapline1'] as const;
/**
 * The bit of the packet mark that sends a packet into the hairpin. None of the usual users of marks has it.
 */
export const MARK = 0x1000;
/** Preference of the routing rule, and number of the routing table behind it. */
export const RULE = 77;
/**
 * The bit with which kube-proxy marks by default what it will masquerade. Such a packet leaves with the
 * node's address.
 */
const KUBE_MASQUERADE = 0x4000;
/** Comes before our own band, so that no policy of ours matches a packet on its way into the pair. */
const BYPASS_PRIORITY = 1_000;

export const TABLE = 'inet trapline';

/**
 * Reassembly of fragments before the XFRM look-up: they carry no ports and would miss a port selector
 * (docs/design.md, ICMP and fragments). Any conntrack expression makes the kernel do it, and this one matches
 * nothing that matters. The table is one of its own and its text is constant, so nothing that a cluster can
 * say keeps it from being laid, or takes it away.
 */
export const DEFRAG_TABLE = 'inet trapline-defrag';
export const DEFRAG_TEXT = [
  `table ${DEFRAG_TABLE}`,
  `delete table ${DEFRAG_TABLE}`,
  `table ${DEFRAG_TABLE} {`,
  'chain reassemble {',
  'type filter hook prerouting priority raw; policy accept;',
  'ct state new',
  '}',
  '}',
  '',
].join('\n');

/** A named set of the table. What nft refuses to have in it can be left out. */
export interface NftSet {
  readonly name: 'ports' | 'pods4' | 'pods6' | 'own4' | 'own6';
  readonly type: string;
  readonly elements: readonly string[];
}

/** The sets of the table; one of addresses that would have no element is not there. */
export function tableSets({ ports, podCidrs, ownCidrs }: Hairpin): NftSet[] {
  const addresses = ([4, 6] as const).flatMap((family): NftSet[] => [
    { name: `pods${family}`, type: `ipv${family}_addr`, elements: podCidrs[family] },
    {
      name: `own${family}`,
      type: `ipv${family}_addr`,
      elements: podCidrs[family].length === 0 ? [] : ownCidrs[family],
    },
  ]);
  return [
    ...addresses.filter(({ elements }) => elements.length > 0),
    { name: 'ports', type: 'inet_proto . inet_service', elements: ports.map(renderRange) },
  ];
}

const hex = (value: number): string => `0x${value.toString(16)}`;
const [OUT, IN] = LINKS;
const MARK_SELECTOR = `fwmark ${hex(MARK)}/${hex(MARK)}`;

/**
 * The whole table as input of `nft -f -`, which replaces the present table in one transaction.
 *
 * Chain `addresses`: the first NAT rule that a flow meets binds its addresses, so a packet that goes into a
 * tunnel keeps the pod's address, whatever masquerading comes after. With another address it would miss its
 * policy.
 */
export function renderTable(sets: readonly NftSet[]): string {
  const names = new Set(sets.map(({ name }) => name));
  const families = [
    ...(names.has('pods4') ? [{ key: 'ip', pods: 'pods4', own: 'own4' } as const] : []),
    ...(names.has('pods6') ? [{ key: 'ip6', pods: 'pods6', own: 'own6' } as const] : []),
  ];
  const rule = ({ key, pods }: (typeof families)[number]): string =>
    `iifname != "${IN}" ct state new ct status dnat meta mark & ${hex(KUBE_MASQUERADE)} == 0 ` +
    `${key} daddr @${pods} meta l4proto . th dport @ports meta mark set meta mark | ${hex(MARK)}`;
  const lines = [
    `table ${TABLE}`,
    `delete table ${TABLE}`,
    `table ${TABLE} {`,
    ...sets.map(renderSet),
    'chain arrive {',
    'type filter hook prerouting priority raw; policy accept;',
    `iifname "${IN}" meta mark set meta mark & ${hex(~MARK >>> 0)} notrack`,
    '}',
    'chain hairpin {',
    'type filter hook prerouting priority dstnat + 1; policy accept;',
    ...families.map(rule),
    '}',
    ...(names.has('pods6') ? GUARD_6 : []),
    'chain addresses {',
    'type nat hook postrouting priority srcnat - 10; policy accept;',
    ...families
      .filter(({ own }) => names.has(own))
      .map(
        ({ key, pods, own }) =>
          `${key} saddr @${own} ${key} daddr @${pods} rt ipsec exists snat ${key} to ${key} saddr`,
      ),
    '}',
    '}',
  ];
  return `${lines.join('\n')}\n`;
}

/** A table with one set and nothing else, for `nft --check`. */
export function renderTrial(set: NftSet): string {
  return `table ${TABLE}-trial {\n${renderSet(set)}\n}\n`;
}

const GUARD_6 = [
  'chain guard {',
  'type filter hook postrouting priority filter; policy accept;',
  `oifname != "${OUT}" ip6 daddr @pods6 meta mark & ${hex(MARK)} == ${hex(MARK)} drop`,
  '}',
];

function renderSet({ name, type, elements }: NftSet): string {
  const content = elements.length === 0 ? '' : ` elements = { ${elements.join(', ')} };`;
  return `set ${name} { type ${type}; flags interval;${content} }`;
}

function renderRange({ proto, first, last }: PortRange): string {
  return `${proto} . ${first === last ? first : `${first}-${last}`}`;
}

/**
 * Makes the pair, as input of `ip -batch`. Both ends have the same hardware address, so that each accepts
 * what the other sends; neither speaks ARP or ND. The second end has an IP address because the kernel takes
 * nothing from an interface without one if reverse paths are checked on any interface.
 */
export const LINK_LINES: readonly string[] = [
  `link add ${OUT} address 02:74:72:61:70:00 mtu 65535 type veth peer name ${IN} address 02:74:72:61:70:00 mtu 65535`,
  `link set ${OUT} arp off`,
  `addr replace 127.77.0.1/32 dev ${IN} scope host`,
];

/** More lines for the pair, which a kernel without IPv6 refuses. */
export const LINK_LINES_6: readonly string[] = LINKS.map((name) => `link set ${name} addrgenmode none`);

export const UP_LINES: readonly string[] = LINKS.map((name) => `link set ${name} up`);

/** Routing table and rule, as input of `ip -batch`; with `-6` for IPv6. */
export const ROUTE_LINES: readonly string[] = [
  `route replace default dev ${OUT} table ${RULE}`,
  `rule add pref ${RULE} ${MARK_SELECTOR} table ${RULE}`,
];

export const RULE_REMOVAL = `rule del pref ${RULE} ${MARK_SELECTOR} table ${RULE}`;

/**
 * Replaces `disable_xfrm` of the pair, which IPv6 does not have: a policy that lets pass what has our mark.
 * Should somebody take the routing rule away, chain `guard` drops what has the mark and would leave through
 * another interface.
 */
export const BYPASS_6 = `src ::/0 dst ::/0 dir out mark ${hex(MARK)} mask ${hex(MARK)}`;
export const BYPASS_6_LINE = `xfrm policy update ${BYPASS_6} priority ${BYPASS_PRIORITY} action allow`;

/**
 * Kernel settings of the pair, below `/proc/sys`. What leaves through the pair is not looked up in XFRM yet
 * (`disable_xfrm`). What comes in has the source address of a pod that is reached through another interface
 * (`rp_filter` 2: any interface will do).
 */
export const LINK_SETTINGS: ReadonlyMap<string, string> = new Map([
  [`net/ipv4/conf/${OUT}/disable_xfrm`, '1'],
  [`net/ipv4/conf/${OUT}/forwarding`, '1'],
  [`net/ipv4/conf/${IN}/forwarding`, '1'],
  [`net/ipv4/conf/${IN}/rp_filter`, '2'],
]);
