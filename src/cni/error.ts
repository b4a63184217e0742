import type { CniErrorResult } from '@containernetworking-ts/types';

/** Error codes: 1 to 99 are those of CNI SPEC 1.1.0 (section 5, Error) and libcni; ours begin at 100. */
export const CODE = {
  incompatibleVersion: 1,
  unsupportedField: 2,
  badEnvironment: 4,
  io: 5,
  decode: 6,
  invalidConfig: 7,
  hostNetns: 8,
  tryAgainLater: 11,
  notAvailable: 50,
  limitedConnectivity: 51,
  /** The kernel refused the policies; none was left behind. */
  xfrm: 100,
  /** The kernel has a policy that is not ours with the direction and selector of one of ours. */
  conflict: 101,
  /** CHECK: what ADD laid is not in the kernel. */
  notInForce: 102,
  /** The node cache contradicts itself. */
  badCache: 103,
  /** IPAM: a requested address cannot be given. */
  addressUnavailable: 110,
  /** IPAM: the attachment has an address already. */
  alreadyAllocated: 111,
  /** A defect of Trapline. */
  internal: 199,
} as const;

export type CniCode = (typeof CODE)[keyof typeof CODE];

/**
 * An error as the runtime gets it. `message` names the field and the value. `details` say more, or are empty.
 */
export class CniError extends Error {
  override readonly name = 'CniError';
  readonly code: CniCode;
  readonly details: string;

  constructor(code: CniCode, message: string, details = '') {
    super(message);
    this.code = code;
    this.details = details;
  }
}

/** The error result of CNI SPEC 1.1.0 (section 5, Error). */
export function errorResult(error: CniError, cniVersion: string): CniErrorResult {
  const { code, message, details } = error;
  return { cniVersion, code, msg: message, ...(details === '' ? {} : { details }) };
}
