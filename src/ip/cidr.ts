import { formatAddress, parseAddress } from './address.ts';
import { familyOf, widthOf } from './family.ts';
import { numberOf } from './number.ts';

/**
 * A CIDR as the kernel writes it (`10.1.0.0/24`, `fd00:1::/64`), or undefined if the text is none. Host bits
 * are cleared. IPv6 with its last part in dotted form (`::ffff:10.0.0.0/104`) is not accepted, nor is a
 * length with a leading zero, which `ip` reads as octal.
 */
export function canonicalCidr(text: string): string | undefined {
  const [, network = '', length = ''] = /^([0-9a-fA-F:]+|[0-9.]+)\/(0|[1-9]\d{0,2})$/.exec(text) ?? [];
  const address = parseAddress(network);
  if (address === undefined) {
    return undefined;
  }
  const { family, value } = address;
  const hostBits = widthOf(family) - Number(length);
  if (hostBits < 0) {
    return undefined;
  }
  const start = (value >> BigInt(hostBits)) << BigInt(hostBits);
  return `${formatAddress({ family, value: start })}/${length}`;
}

/** Whether two canonical CIDRs have an address in common. */
export function overlap(a: string, b: string): boolean {
  const [[networkA = '', bitsA = ''], [networkB = '', bitsB = '']] = [a.split('/'), b.split('/')];
  const family = familyOf(networkA);
  if (family !== familyOf(networkB)) {
    return false;
  }
  const shift = BigInt(widthOf(family) - Math.min(Number(bitsA), Number(bitsB)));
  return numberOf(networkA) >> shift === numberOf(networkB) >> shift;
}
