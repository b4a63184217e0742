import type { CniResult } from '@containernetworking-ts/types';
import { canonicalAddress } from '../ip/address.ts';
import { type Family, familyOf, widthOf } from '../ip/family.ts';
import { CniError, CODE } from './error.ts';

/**
 * The addresses of this attachment, canonical and without prefix length. `ips[].interface` must point at the
 * element of `interfaces` that is named CNI_IFNAME and has a sandbox. An address without that index counts if
 * the element is the only one with a sandbox. Throws CniError 7.
 */
export function attachedAddresses(prevResult: CniResult | null | undefined, ifName: string): string[] {
  if (prevResult === undefined || prevResult === null) {
    throw new CniError(
      CODE.invalidConfig,
      'prevResult: missing; trapline must come after a plugin that adds an interface',
    );
  }
  const interfaces = prevResult.interfaces ?? [];
  const inSandbox = interfaces.filter(({ sandbox }) => sandbox !== undefined && sandbox !== '');
  const ours = interfaces.findIndex(
    ({ name, sandbox }) => name === ifName && sandbox !== undefined && sandbox !== '',
  );
  if (ours === -1) {
    const names = interfaces.map(({ name }) => name).join(', ') || 'none';
    throw new CniError(
      CODE.invalidConfig,
      `prevResult.interfaces: no interface ${JSON.stringify(ifName)} with a sandbox, only: ${names}`,
    );
  }
  const ips = (prevResult.ips ?? []).filter(({ interface: index }) =>
    index === undefined ? inSandbox.length === 1 : index === ours,
  );
  if (ips.length === 0) {
    throw new CniError(
      CODE.invalidConfig,
      `prevResult.ips: no address of interface ${JSON.stringify(ifName)}`,
    );
  }
  return [...new Set(ips.map(({ address }) => addressIn(address)))];
}

/** `10.1.0.3/24` gives `10.1.0.3`. */
function addressIn(cidr: string): string {
  const [text = '', length = '', ...more] = cidr.split('/');
  const address = canonicalAddress(text);
  if (address === undefined || !isPrefixLength(length, familyOf(address)) || more.length > 0) {
    throw new CniError(
      CODE.invalidConfig,
      `prevResult.ips: ${JSON.stringify(cidr)} is not an address with prefix length`,
    );
  }
  return address;
}

function isPrefixLength(text: string, family: Family): boolean {
  return /^\d{1,3}$/.test(text) && Number(text) <= widthOf(family);
}
