import type { SelectorProtocol } from '../plan/types.ts';

/**
 * IANA protocol numbers. `ip` gets numbers, not names: it resolves names with /etc/protocols, which a small
 * container image does not have.
 */
export const PROTOCOL_NUMBERS = {
  any: 0,
  icmp: 1,
  tcp: 6,
  udp: 17,
  icmpv6: 58,
  sctp: 132,
} as const satisfies Record<SelectorProtocol, number>;

const BY_WORD = new Map<string, SelectorProtocol>();
for (const [name, number] of Object.entries(PROTOCOL_NUMBERS)) {
  BY_WORD.set(name, name as SelectorProtocol).set(String(number), name as SelectorProtocol);
}
BY_WORD.set('ipv6-icmp', 'icmpv6');

/**
 * The protocol that a word of `ip` means, be it a name of /etc/protocols or a number; undefined if no policy
 * of ours can have that protocol.
 */
export function protocolOf(word: string): SelectorProtocol | undefined {
  return BY_WORD.get(word);
}
