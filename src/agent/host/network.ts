import type { Iproute2 } from '../../ipsec/xfrm/iproute2.ts';
import type { NodeCache } from '../../rundir/schema.ts';
import { memoized } from '../../util/memo.ts';
import { createHairpin } from './hairpin.ts';
import { keepThresholds, planThresholds } from './hash-thresholds.ts';
import { keepRoutes } from './routes.ts';

/** How often the kernel's thresholds are looked at. */
const THRESHOLDS_MS = 60_000;

export interface NetworkOptions {
  readonly runDir: string;
  readonly iproute2: Iproute2;
  /** Absolute path of `nft`. */
  readonly nft: string;
  /** Normally `/proc/sys`. */
  readonly sysctlRoot: string;
  /** Keep routes to the peers' pod CIDRs. */
  readonly routes: boolean;
  /** Fit the kernel's hash thresholds to the pod CIDRs. */
  readonly hashThresholds: boolean;
}

/**
 * Keeps hairpin, routes and hash thresholds in step with the cache that each call hands over. Each call
 * throws if it cannot.
 */
export function createNetworkKeeper(options: NetworkOptions): (cache: NodeCache) => Promise<void> {
  const { iproute2, nft, sysctlRoot } = options;
  const keepHairpin = createHairpin({ ...iproute2, nft, sysctlRoot }, Date.now);
  const thresholdsOf = memoized((peers: NodeCache['peers']): string =>
    JSON.stringify([planThresholds({ peers }, 4), planThresholds({ peers }, 6)]),
  );
  let looked = { key: '', at: 0 };
  return async (cache) => {
    if (options.routes) {
      await keepRoutes(options.iproute2, cache);
    }
    const key = thresholdsOf(cache.peers);
    if (options.hashThresholds && (key !== looked.key || Date.now() - looked.at > THRESHOLDS_MS)) {
      await keepThresholds(options.iproute2, { runDir: options.runDir, cache });
      looked = { key, at: Date.now() };
    }
    await keepHairpin(cache);
  };
}
