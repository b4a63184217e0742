/** Protocol versions of the CNI specification that these types cover, oldest first. */
export const CNI_VERSIONS = ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const;

export type CniVersion = (typeof CNI_VERSIONS)[number];

/** Whether a version is at least `least`. */
export function isAtLeast(version: CniVersion, least: CniVersion): boolean {
  return CNI_VERSIONS.indexOf(version) >= CNI_VERSIONS.indexOf(least);
}

export function isKnownVersion(version: string): version is CniVersion {
  return (CNI_VERSIONS as readonly string[]).includes(version);
}
