import IPCIDR from 'ip-cidr';
import { numberOf } from './number.ts';

/** Each snapshot brings the same few thousand texts again. */
const REMEMBERED = 50_000;

function remembering(canonical: (text: string) => string | undefined): typeof canonical {
  const known = new Map<string, string | undefined>();
  return (text) => {
    if (!known.has(text)) {
      if (known.size >= REMEMBERED) {
        known.clear();
      }
      known.set(text, canonical(text));
    }
    return known.get(text);
  };
}

/** A CIDR as the kernel writes it (`10.1.0.0/24`, `fd00:1::/64`), or undefined if the text is none. Host bits are cleared. */
export const canonicalCidr = remembering((text) => {
  const trimmed = text.trim();
  if (!/^[0-9a-fA-F:.]+\/\d{1,3}$/.test(trimmed) || !IPCIDR.isValidCIDR(trimmed)) {
    return undefined;
  }
  const cidr = new IPCIDR(trimmed);
  const start = canonicalAddress(cidr.start());
  const sameFamily = start?.includes(':') === trimmed.includes(':');
  return start === undefined || !sameFamily
    ? undefined
    : `${start}/${trimmed.slice(trimmed.indexOf('/') + 1)}`;
});

/** An address as the kernel writes it, or undefined if the text is none. */
export const canonicalAddress = remembering((text) => {
  const trimmed = text.trim();
  if (!/^[0-9a-fA-F:.]+$/.test(trimmed) || !IPCIDR.isValidAddress(trimmed)) {
    return undefined;
  }
  const url = URL.parse(trimmed.includes(':') ? `http://[${trimmed}]/` : `http://${trimmed}/`);
  return url?.hostname.replace(/^\[|\]$/g, '');
});

/** Whether two canonical CIDRs have an address in common. */
export function overlap(a: string, b: string): boolean {
  const [[networkA = '', bitsA = ''], [networkB = '', bitsB = '']] = [a.split('/'), b.split('/')];
  if (networkA.includes(':') !== networkB.includes(':')) {
    return false;
  }
  const width = networkA.includes(':') ? 128 : 32;
  const shift = BigInt(width - Math.min(Number(bitsA), Number(bitsB)));
  return numberOf(networkA) >> shift === numberOf(networkB) >> shift;
}
