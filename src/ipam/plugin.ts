/**
 * The IPAM plugin `trapline-ipam`: gives pods addresses of the node's pod CIDRs, in the manner and the files
 * of host-local, which it can replace in place. It is the executable of the plugin `trapline` under another
 * name.
 *
 * It may import the protocol of `src/cni` (not its verbs), `ip`, `rundir` and `exec`; every import costs the
 * start of each pod. It knows nothing of IPsec.
 */
import { isAtLeast } from '@containernetworking-ts/types';
import * as z from 'zod';
import type { PluginDeps } from '../cni/call.ts';
import { checkName, checkVersion } from '../cni/config.ts';
import { CniError, CODE } from '../cni/error.ts';
import { type Outcome, type RawCall, speak } from '../cni/protocol.ts';
import { formatAddress } from '../ip/address.ts';
import { withLock } from '../rundir/lock/lock.ts';
import { type Allocation, allocate } from './allocate.ts';
import { parseIpamConfig, parseStoreConfig, type StoreConfig } from './config.ts';
import { goneLeases } from './gone.ts';
import { IPAM_NAME } from './name.ts';
import { type Lease, lockFolder, openStore, type Store } from './store.ts';

const VALID = 'cni.dev/valid-attachments';
const validSchema = z.array(z.object({ containerID: z.string(), ifname: z.string() }));

/** One call of `trapline-ipam`. Never throws. */
export async function callIpam(deps: PluginDeps): Promise<Outcome> {
  return await speak(deps, {
    name: IPAM_NAME,
    purpose: "addresses from the node's pod CIDR",
    act: async (call) => {
      const cniVersion = checkVersion(call.raw.cniVersion, call.verb);
      const network = checkName(call.raw.name);
      switch (call.verb) {
        case 'ADD':
          return await add(deps, call, { cniVersion, network });
        case 'STATUS':
          return status(call, network);
        case 'GC':
          return await collect(deps, call, network);
        case 'DEL':
          return await giveBack(deps, parseStoreConfig(call.raw, network), isOf(call));
        case 'CHECK':
          return await locked(deps, parseStoreConfig(call.raw, network), async (store) => check(store, call));
      }
    },
  });
}

/**
 * Runs an action under the lock of the network's store. Throws CniError 11 (through toCniError) if the lock
 * is not free in time.
 */
function locked<T>(
  { uptime, sleep }: PluginDeps,
  { folder, lockWaitMs }: StoreConfig,
  action: (store: Store) => Promise<T>,
): Promise<T> {
  return withLock(lockFolder(folder), { timeoutMs: lockWaitMs, uptime, sleep }, () =>
    action(openStore(folder)),
  );
}

async function add(
  deps: PluginDeps,
  { raw, variables }: RawCall,
  { cniVersion, network }: { readonly cniVersion: ReturnType<typeof checkVersion>; readonly network: string },
): Promise<string> {
  const config = parseIpamConfig(raw, network, variables.args);
  const { run, now } = deps;
  const gone = (leases: readonly Lease[]) => goneLeases(leases, { ...config, run, now, proc: '/proc' });
  const allocations = await locked(deps, config, (store) =>
    allocate(store, config.sets, { owner: variables, requested: config.requested, gone }),
  );
  const versioned = !isAtLeast(cniVersion, '1.0.0');
  return JSON.stringify({
    cniVersion,
    ips: allocations.map((allocation) => ipOf(allocation, versioned)),
    ...(config.routes.length === 0 ? {} : { routes: config.routes }),
    dns: config.dns ?? {},
  });
}

function ipOf({ address, range: { family, bits, gateway } }: Allocation, versioned: boolean): object {
  return {
    ...(versioned ? { version: String(family) } : {}),
    address: `${formatAddress(address)}/${bits}`,
    gateway: formatAddress({ family, value: gateway }),
  };
}

const isOf =
  ({ variables }: RawCall) =>
  ({ containerId, ifName }: Lease): boolean =>
    // Earlier versions of host-local wrote files without an interface.
    containerId === variables.containerId && (ifName === variables.ifName || ifName === '');

/**
 * Frees the leases that `isFree` picks. It is no error if one is free already (CNI SPEC 1.1.0 DEL). If the
 * disk has no room for the lock file, it works without the lock: to give back is to remove a file, which is
 * safe beside any other call.
 */
async function giveBack(
  deps: PluginDeps,
  config: StoreConfig,
  isFree: (lease: Lease) => boolean,
): Promise<string> {
  const free = (store: Store): string => {
    for (const { address } of [...store.leases().values()].filter(isFree)) {
      store.free(address);
    }
    return '';
  };
  try {
    return await locked(deps, config, async (store) => free(store));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC') {
      return free(openStore(config.folder));
    }
    throw error;
  }
}

/** Throws CniError 102 if the attachment has no address. */
function check(store: Store, call: RawCall): string {
  if (![...store.leases().values()].some(isOf(call))) {
    const { containerId, ifName } = call.variables;
    throw new CniError(CODE.notInForce, `container ${containerId} has no address for ${ifName}`);
  }
  return '';
}

/**
 * CNI SPEC 1.1.0 GC: frees the addresses of attachments that the runtime does not list. A missing list is an
 * error: it would free all.
 */
async function collect(deps: PluginDeps, { raw }: RawCall, network: string): Promise<string> {
  const valid = validSchema.safeParse(raw[VALID]);
  if (!valid.success) {
    throw new CniError(CODE.invalidConfig, `${VALID}: missing or malformed; an empty list would mean all`);
  }
  const keep = new Set(valid.data.map(({ containerID, ifname }) => `${containerID} ${ifname}`));
  return await giveBack(
    deps,
    parseStoreConfig(raw, network),
    ({ containerId, ifName }) => !keep.has(`${containerId} ${ifName}`),
  );
}

/** Throws CniError 50 if an ADD could not determine its ranges, and 6 or 7 for a bad configuration. */
function status({ raw }: RawCall, network: string): string {
  try {
    parseIpamConfig(raw, network, new Map());
    return '';
  } catch (error) {
    throw error instanceof CniError && error.code === CODE.tryAgainLater
      ? new CniError(CODE.notAvailable, error.message)
      : error;
  }
}
