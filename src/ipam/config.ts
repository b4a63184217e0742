import type { CniDns, CniRoute } from '@containernetworking-ts/types';
import * as z from 'zod';
import { CniError, CODE } from '../cni/error.ts';
import { type Address, formatAddress, parseAddress } from '../ip/address.ts';
import { DEFAULT_RUN_DIR } from '../rundir/paths.ts';
import { readNodeCache } from '../rundir/read.ts';
import { checkSets, parseRange, type RangeConfig, RangeConfigError, type RangeSet } from './range.ts';
import { readResolvConf } from './resolv-conf.ts';

/**
 * Stands in the configuration in place of a CIDR, for the pod CIDRs of this node in the node cache: a set for
 * each.
 */
export const NODE_POD_CIDR = 'nodePodCIDR';

const text = z.string();
const optionalText = text.nullish().transform((value) => (value ? value : undefined));
const rangeSchema = z.object({
  subnet: text,
  rangeStart: optionalText,
  rangeEnd: optionalText,
  gateway: optionalText,
});
const rangeSets = z.array(z.array(rangeSchema)).nullish();
const absolutePath = text.startsWith('/', 'must be an absolute path');

/**
 * The configuration of host-local (its README), and three keys of ours: `runDir`, `cniCacheDir`,
 * `lockWaitMs`.
 */
export const ipamConfigSchema = z.looseObject({
  ipam: z
    .looseObject({
      subnet: optionalText,
      rangeStart: optionalText,
      rangeEnd: optionalText,
      gateway: optionalText,
      ranges: rangeSets,
      routes: z.array(z.looseObject({ dst: text, gw: optionalText })).nullish(),
      dataDir: optionalText,
      resolvConf: optionalText,
      runDir: absolutePath.default(DEFAULT_RUN_DIR),
      /** Where the runtime's libcni keeps the results of ADD. */
      cniCacheDir: absolutePath.default('/var/lib/cni'),
      lockWaitMs: z.number().int().min(0).max(120_000).default(20_000),
    })
    .nullish(),
  args: z.looseObject({ cni: z.looseObject({ ips: z.array(text).nullish() }).nullish() }).nullish(),
  runtimeConfig: z.looseObject({ ips: z.array(text).nullish(), ipRanges: rangeSets }).nullish(),
});

type RawConfig = z.infer<typeof ipamConfigSchema>;
type RawIpam = NonNullable<RawConfig['ipam']>;

/** What DEL, GC and CHECK need. They work whatever the ranges say. */
export interface StoreConfig {
  /** `<dataDir>/<network>` */
  readonly folder: string;
  readonly network: string;
  readonly cniCacheDir: string;
  readonly lockWaitMs: number;
}

export interface IpamConfig extends StoreConfig {
  readonly sets: readonly RangeSet[];
  readonly requested: readonly Address[];
  readonly routes: readonly CniRoute[];
  /** Undefined without `resolvConf`. */
  readonly dns: CniDns | undefined;
}

const DEFAULT_DATA_DIR = '/var/lib/cni/networks';

/**
 * Reads the part that every verb needs. Throws CniError 6 (a value of the wrong type) or 7, which name field
 * and value.
 */
export function parseStoreConfig(
  raw: unknown,
  network: string,
): StoreConfig & { readonly raw: RawConfig; readonly ipam: RawIpam } {
  const parsed = ipamConfigSchema.safeParse(raw);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new CniError(
      issue?.code === 'invalid_type' ? CODE.decode : CODE.invalidConfig,
      `${issue?.path.join('.')}: ${issue?.message}`,
    );
  }
  const { ipam } = parsed.data;
  if (ipam === undefined || ipam === null) {
    throw new CniError(CODE.invalidConfig, 'ipam: missing');
  }
  const { dataDir = DEFAULT_DATA_DIR, cniCacheDir, lockWaitMs } = ipam;
  return { folder: `${dataDir}/${network}`, network, cniCacheDir, lockWaitMs, raw: parsed.data, ipam };
}

/**
 * Reads all that ADD needs. `cniArgs` are the pairs of CNI_ARGS. Throws CniError 6, 7, 5 (resolvConf), or 11
 * if the node cache is needed and missing.
 */
export function parseIpamConfig(
  raw: unknown,
  network: string,
  cniArgs: ReadonlyMap<string, string>,
): IpamConfig {
  const { raw: config, ipam, ...store } = parseStoreConfig(raw, network);
  const { runtimeConfig, args } = config;
  const single = ipam.subnet === undefined ? [] : [[ipam as RangeConfig]];
  const configured = [...(runtimeConfig?.ipRanges ?? []), ...single, ...(ipam.ranges ?? [])];
  if (configured.length === 0) {
    throw new CniError(CODE.invalidConfig, 'ipam: neither ranges nor subnet');
  }
  const ip = cniArgs.get('IP') ?? '';
  const requested = [
    ...(ip === '' ? [] : [['CNI_ARGS: IP', ip] as const]),
    ...wanted('args.cni.ips', args?.cni?.ips),
    ...wanted('runtimeConfig.ips', runtimeConfig?.ips),
  ];
  return {
    ...store,
    sets: parseSets(configured.flatMap((set) => nodeSets(set, ipam.runDir))),
    requested: requested.map(([field, value]) => requestedAddress(field, value)),
    routes: (ipam.routes ?? []).map(({ dst, gw, ...more }) => ({
      dst: routeOf(dst),
      ...(gw === undefined ? {} : { gw }),
      ...more,
    })),
    dns: ipam.resolvConf === undefined ? undefined : readResolvConf(ipam.resolvConf),
  };
}

const wanted = (field: string, list: readonly string[] | null | undefined): (readonly [string, string])[] =>
  (list ?? []).map((value) => [field, value] as const);

/** Reads a requested address, with or without a prefix length. Throws CniError 7. */
function requestedAddress(field: string, value: string): Address {
  const address = parseAddress(value.split('/')[0] ?? '');
  if (address === undefined) {
    throw new CniError(CODE.invalidConfig, `${field}: ${JSON.stringify(value)} is not an address`);
  }
  return address;
}

function routeOf(dst: string): string {
  const [address = '', bits = ''] = dst.split('/');
  const parsed = /^\d{1,3}$/.test(bits) ? parseAddress(address) : undefined;
  if (parsed === undefined) {
    throw new CniError(CODE.invalidConfig, `ipam.routes: ${JSON.stringify(dst)} is not a CIDR`);
  }
  return `${formatAddress(parsed)}/${bits}`;
}

/**
 * The range sets that a configured set stands for: itself, or one for each pod CIDR of the node. Throws
 * CniError 7 and 11.
 */
function nodeSets(set: readonly RangeConfig[], runDir: string): RangeConfig[][] {
  const named = set.find(({ subnet }) => subnet === NODE_POD_CIDR);
  if (named === undefined) {
    return [[...set]];
  }
  if (
    set.length > 1 ||
    named.rangeStart !== undefined ||
    named.rangeEnd !== undefined ||
    named.gateway !== undefined
  ) {
    throw new CniError(
      CODE.invalidConfig,
      `ipam: ${NODE_POD_CIDR} stands alone, without rangeStart, rangeEnd and gateway`,
    );
  }
  const cidrs = nodePodCidrs(runDir);
  if (cidrs.length === 0) {
    throw new CniError(CODE.tryAgainLater, `ipam.subnet: ${NODE_POD_CIDR}: this node has no pod CIDR yet`);
  }
  return cidrs.map((subnet) => [{ subnet }]);
}

/** The pod CIDRs of this node. Throws CniError 11 if there is no node cache. */
export function nodePodCidrs(runDir: string): readonly string[] {
  const cache = readNodeCache(runDir);
  if (cache.kind !== 'ok') {
    throw new CniError(
      CODE.tryAgainLater,
      `ipam.subnet: ${NODE_POD_CIDR}: ${cache.message}; is trapline-agent running?`,
    );
  }
  return cache.value.node.podCidrs;
}

function parseSets(sets: readonly (readonly RangeConfig[])[]): RangeSet[] {
  try {
    const parsed = sets.map((set, index) =>
      set.map((range) => {
        try {
          return parseRange(range);
        } catch (error) {
          throw error instanceof RangeConfigError
            ? new RangeConfigError(`ranges[${index}]: ${error.message}`)
            : error;
        }
      }),
    );
    checkSets(parsed);
    return parsed;
  } catch (error) {
    throw error instanceof RangeConfigError
      ? new CniError(CODE.invalidConfig, `ipam.${error.message}`)
      : error;
  }
}
