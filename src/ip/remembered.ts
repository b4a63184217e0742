import { canonicalAddress, formatAddress, parseAddress } from './address.ts';
import { canonicalCidr } from './cidr.ts';

/** How many texts are remembered. Each snapshot of the cluster brings the same few thousand again. */
const MOST_TEXTS = 50_000;
/** No address or CIDR is longer, with blanks around. Longer texts are not looked at, and not kept. */
const LONGEST_TEXT = 64;
const MAPPED = 0xffffn;

/**
 * The canonical form of an address in a Kubernetes object, read as Kubernetes reads it: there may be blanks
 * around, leading zeros of an IPv4 octet do not make it octal, and a mapped IPv4 address (`::ffff:10.0.0.1`)
 * is that IPv4 address. Undefined if the text is no address. Results are remembered.
 */
export const rememberedAddress = remembering((text) => {
  const address = parseAddress(decimal(text));
  if (address === undefined) {
    return undefined;
  }
  const { family, value } = address;
  return family === 6 && value >> 32n === MAPPED
    ? formatAddress({ family: 4, value: value & 0xffffffffn })
    : canonicalAddress(decimal(text));
});

/**
 * The canonical form of a CIDR in a Kubernetes object, read as Kubernetes reads it: there may be blanks
 * around, and leading zeros are decimal, in an octet and in the length. Undefined if the text is no CIDR, or
 * one of mapped IPv4 addresses. Results are remembered.
 */
export const rememberedCidr = remembering((text) => {
  const [network = '', length = '', ...more] = text.split('/');
  const address = parseAddress(decimal(network));
  const mapped = address?.family === 6 && address.value >> 32n === MAPPED;
  return more.length > 0 || mapped
    ? undefined
    : canonicalCidr(`${decimal(network)}/${length.replace(/^0+(?=\d)/, '')}`);
});

/** Without leading zeros of octets. */
function decimal(text: string): string {
  return /^[0-9.]+$/.test(text) ? text.replace(/(?<=^|\.)0+(?=\d)/g, '') : text;
}

function remembering(canonical: (text: string) => string | undefined): typeof canonical {
  const byText = new Map<string, string | undefined>();
  return (text) => {
    if (text.length > LONGEST_TEXT) {
      return undefined;
    }
    if (!byText.has(text)) {
      if (byText.size >= MOST_TEXTS) {
        byText.clear();
      }
      byText.set(text, canonical(text.trim()));
    }
    return byText.get(text);
  };
}
