import { EVERY_PORT } from '../../ipsec/plan/ports.ts';
import type { Protocol } from '../../ipsec/plan/types.ts';
import { printable } from '../../util/printable.ts';
import { BOUNDS } from '../bounds.ts';

/** Ports that an IPsecPolicy names: `first` to `last`, or EVERY_PORT in both. */
export interface PortSpec {
  readonly proto: Protocol;
  readonly first: number;
  readonly last: number;
}

export type ParsedPorts =
  | { readonly kind: 'ok'; readonly specs: readonly PortSpec[] }
  | { readonly kind: 'refused'; readonly reason: string };

/**
 * Parses `serviceports`: specs between commas, `tcp/53`, `udp/8000-8010`, `sctp/*` or `*`. The case of a
 * protocol does not matter, and spaces are allowed. The reason of a refusal names the spec, which users know
 * as an item.
 */
export function parsePorts(text: string): ParsedPorts {
  const specs: PortSpec[] = [];
  const items = text.split(',');
  if (items.length > BOUNDS.specsPerItem) {
    return {
      kind: 'refused',
      reason: `has ${items.length} ports, more than ${BOUNDS.specsPerItem}: use ranges, or several items`,
    };
  }
  for (const item of items) {
    const parsed = parseItem(item.trim());
    if (typeof parsed === 'string') {
      return { kind: 'refused', reason: parsed };
    }
    specs.push(parsed);
  }
  return { kind: 'ok', specs };
}

function parseItem(item: string): PortSpec | string {
  if (item === '') {
    return 'has an empty item';
  }
  if (item === '*') {
    return { proto: 'any', first: EVERY_PORT, last: EVERY_PORT };
  }
  const [name = '', ports, ...more] = item.split('/').map((part) => part.trim());
  const proto = (['tcp', 'udp', 'sctp'] as const).find((each) => each === name.toLowerCase());
  if (proto === undefined) {
    return `item ${quoted(item)}: protocol ${quoted(name)} is not tcp, udp or sctp`;
  }
  if (ports === undefined || ports === '' || more.length > 0) {
    return `item ${quoted(item)} is not <protocol>/<port>`;
  }
  if (ports === '*') {
    return { proto, first: EVERY_PORT, last: EVERY_PORT };
  }
  const [first, last, ...others] = ports.split('-').map((part) => portOf(part.trim()));
  if (first === undefined || others.length > 0 || (ports.includes('-') && last === undefined)) {
    return `item ${quoted(item)}: ports are 1 to 65535`;
  }
  const end = last ?? first;
  return end < first ? `item ${quoted(item)}: the range ends before it begins` : { proto, first, last: end };
}

/** No spec that is meant seriously is longer, and the problem shows the whole value already. */
const LONGEST_SPEC = 30;
const quoted = (text: string): string => `"${printable(text, LONGEST_SPEC)}"`;

function portOf(text: string): number | undefined {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= 65535 ? port : undefined;
}
