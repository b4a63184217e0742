/**
 * Why no pod and no end of a tunnel can have a canonical address, or undefined if one can: nothing that is
 * routed has it. IPv6 addresses that begin with 32 zero bits are reserved, mapped IPv4 addresses among them.
 */
export function unusable(address: string): string | undefined {
  if (address.includes(':')) {
    const [first = ''] = address.split(':');
    if (address === '::' || address === '::1') {
      return address === '::' ? 'unspecified' : 'loopback';
    }
    if (address.startsWith('::')) {
      return 'reserved';
    }
    const value = Number.parseInt(first, 16);
    return value >= 0xff00 ? 'multicast' : (value & 0xffc0) === 0xfe80 ? 'link-local' : undefined;
  }
  const [first = 0, second = 0] = address.split('.').map(Number);
  if (first === 0 || first === 127) {
    return first === 0 ? 'unspecified' : 'loopback';
  }
  if (first === 255) {
    return 'broadcast';
  }
  return first >= 224 && first < 240
    ? 'multicast'
    : first === 169 && second === 254
      ? 'link-local'
      : undefined;
}
