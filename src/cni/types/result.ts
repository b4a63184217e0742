import * as z from 'zod';

/*
 * Success results of CNI SPEC 1.1.0 (section 5), and of 0.3.0 to 0.4.0 where they differ. Every object is
 * loose: keys that are not named here stay in untouched, whichever version they belong to. A key of a later
 * version is no error in an earlier one.
 */

/** An interface that a plugin made, on the host or in a sandbox. */
export const interfaceSchema = z.looseObject({
  name: z.string(),
  mac: z.string().optional(),
  /** Bytes; since 1.1.0. */
  mtu: z.number().int().nonnegative().optional(),
  /** Path of the network namespace; absent or empty on the host. */
  sandbox: z.string().optional(),
  /** Path of the socket of a vhost-user or similar interface; since 1.1.0. */
  socketPath: z.string().optional(),
  /** PCI address of the device; since 1.1.0. */
  pciID: z.string().optional(),
});

export const ipSchema = z.looseObject({
  /** Required up to 0.4.0, removed in 1.0.0. */
  version: z.enum(['4', '6']).optional(),
  /** Address in CIDR form. */
  address: z.string(),
  gateway: z.string().optional(),
  /** Index into `interfaces`. */
  interface: z.number().int().nonnegative().optional(),
});

export const routeSchema = z.looseObject({
  /** CIDR */
  dst: z.string(),
  gw: z.string().optional(),
  /** Bytes; this and all that follow since 1.1.0. */
  mtu: z.number().int().nonnegative().optional(),
  /** Bytes */
  advmss: z.number().int().nonnegative().optional(),
  priority: z.number().int().nonnegative().optional(),
  table: z.number().int().nonnegative().optional(),
  scope: z.number().int().nonnegative().optional(),
});

export const dnsSchema = z.looseObject({
  nameservers: z.array(z.string()).optional(),
  domain: z.string().optional(),
  search: z.array(z.string()).optional(),
  options: z.array(z.string()).optional(),
});

/** A success result, and `prevResult`. */
export const resultSchema = z.looseObject({
  cniVersion: z.string().optional(),
  interfaces: z.array(interfaceSchema).nullish(),
  ips: z.array(ipSchema).nullish(),
  routes: z.array(routeSchema).nullish(),
  dns: dnsSchema.nullish(),
});

/** An error result (CNI SPEC 1.1.0, section 5, Error). */
export const errorResultSchema = z.looseObject({
  cniVersion: z.string(),
  code: z.number().int(),
  msg: z.string(),
  details: z.string().optional(),
});

/** The answer to VERSION. */
export const versionResultSchema = z.looseObject({
  cniVersion: z.string(),
  supportedVersions: z.array(z.string()),
});

export type CniInterface = z.infer<typeof interfaceSchema>;
export type CniIp = z.infer<typeof ipSchema>;
export type CniRoute = z.infer<typeof routeSchema>;
export type CniDns = z.infer<typeof dnsSchema>;
export type CniResult = z.infer<typeof resultSchema>;
export type CniErrorResult = z.infer<typeof errorResultSchema>;
export type CniVersionResult = z.infer<typeof versionResultSchema>;
