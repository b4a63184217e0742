import * as z from 'zod';

/**
 * A success result (CNI SPEC 1.1.0, section 5). Only the keys that a chained plugin reads are checked; all others go through
 * untouched, whatever version they belong to.
 */
export const interfaceSchema = z.looseObject({
  name: z.string(),
  mac: z.string().optional(),
  /** Path of the network namespace; absent or empty on the host. */
  sandbox: z.string().optional(),
});

export const ipSchema = z.looseObject({
  /** Address in CIDR form. */
  address: z.string(),
  gateway: z.string().optional(),
  /** Index into `interfaces`. */
  interface: z.number().int().nonnegative().optional(),
});

export const resultSchema = z.looseObject({
  cniVersion: z.string().optional(),
  interfaces: z.array(interfaceSchema).optional(),
  ips: z.array(ipSchema).optional(),
});

export type CniInterface = z.infer<typeof interfaceSchema>;
export type CniIp = z.infer<typeof ipSchema>;
export type CniResult = z.infer<typeof resultSchema>;

/** An error result (CNI SPEC 1.1.0, section 5, Error). */
export interface CniErrorResult {
  readonly cniVersion: string;
  readonly code: number;
  readonly msg: string;
  readonly details?: string;
}

/** The answer to VERSION. */
export interface CniVersionResult {
  readonly cniVersion: string;
  readonly supportedVersions: readonly string[];
}
