import IPCIDR from 'ip-cidr';

/** A CIDR as the kernel writes it (`10.1.0.0/24`, `fd00:1::/64`), or undefined if the text is none. Host bits are cleared. */
export function canonicalCidr(text: string): string | undefined {
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
}

/** An address as the kernel writes it, or undefined if the text is none. */
export function canonicalAddress(text: string): string | undefined {
  const trimmed = text.trim();
  if (!/^[0-9a-fA-F:.]+$/.test(trimmed) || !IPCIDR.isValidAddress(trimmed)) {
    return undefined;
  }
  const url = URL.parse(trimmed.includes(':') ? `http://[${trimmed}]/` : `http://${trimmed}/`);
  return url?.hostname.replace(/^\[|\]$/g, '');
}

/** Whether an address lies in one of the CIDRs; all canonical. */
export function containedIn(address: string, cidrs: readonly string[]): boolean {
  return cidrs.some(
    (cidr) => cidr.includes(':') === address.includes(':') && new IPCIDR(cidr).contains(address),
  );
}
