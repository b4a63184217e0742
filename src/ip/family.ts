/**
 * What can be said of an address or a CIDR that is in canonical form already. Nothing here is imported: the
 * plan, which must not depend on Node, uses it.
 */
export type Family = 4 | 6;

/** The family of an address or a CIDR in text form. */
export function familyOf(text: string): Family {
  return text.includes(':') ? 6 : 4;
}

/** How many bits an address of the family has. */
export function widthOf(family: Family): 32 | 128 {
  return family === 4 ? 32 : 128;
}

/** The CIDR that contains one address alone: `10.1.0.3/32`. */
export function hostCidr(address: string): string {
  return `${address}/${widthOf(familyOf(address))}`;
}
