import type { StreamingIproute2 } from '../../ipsec/xfrm/iproute2.ts';
import type { NodeCache } from '../../rundir/schema.ts';
import { memoized } from '../../util/memo.ts';
import { messageOf } from '../../util/message-of.ts';
import { sleep } from '../../util/sleep.ts';
import { createGuard, type GuardLog } from './guard.ts';
import { createHairpin } from './hairpin.ts';
import { keepThresholds, planThresholds } from './hash-thresholds.ts';
import { watchTables } from './nft-watch.ts';
import { keepRoutes } from './routes.ts';

/** How often the kernel's thresholds are looked at. */
const THRESHOLDS_MS = 60_000;

export interface NetworkOptions {
  readonly runDir: string;
  readonly iproute2: StreamingIproute2;
  /** Absolute path of `nft`. */
  readonly nft: string;
  /** Normally `/proc/sys`. */
  readonly sysctlRoot: string;
  /** Keep routes to the peers' pod CIDRs. */
  readonly routes: boolean;
  /** Fit the kernel's hash thresholds to the pod CIDRs. */
  readonly hashThresholds: boolean;
  readonly log: GuardLog;
}

export interface NetworkKeeper {
  /**
   * To be called at the agent's start, with the cache of an earlier agent: marks the node as unguarded if its
   * nft tables are missing. Never rejects.
   */
  readonly begin: (cache: NodeCache | null) => Promise<void>;
  /**
   * Brings hairpin, routes and hash thresholds in step with the cache. What cannot be laid does not hold back
   * the others. Throws an Error with all that went wrong.
   */
  readonly keep: (cache: NodeCache) => Promise<void>;
  /**
   * Until the signal aborts: calls `onChange` when somebody may have changed our nft tables; then `keep` is
   * to be called. Never rejects.
   */
  readonly watch: (onChange: () => void, signal: AbortSignal) => Promise<void>;
}

export function createNetworkKeeper(options: NetworkOptions): NetworkKeeper {
  const { iproute2, nft, sysctlRoot, log } = options;
  const now = (): number => performance.now();
  const hairpin = createHairpin({ ...iproute2, nft, sysctlRoot }, createGuard(options.runDir, log, now));
  const thresholdsOf = memoized((peers: NodeCache['peers']): string =>
    JSON.stringify([planThresholds({ peers }, 4), planThresholds({ peers }, 6)]),
  );
  let looked = { key: '', at: Number.NEGATIVE_INFINITY };
  const fitThresholds = async (cache: NodeCache): Promise<void> => {
    const key = thresholdsOf(cache.peers);
    if (key !== looked.key || now() - looked.at > THRESHOLDS_MS) {
      await keepThresholds(iproute2, { runDir: options.runDir, cache });
      looked = { key, at: now() };
    }
  };
  return {
    begin: (cache) =>
      hairpin.begin(cache).catch((error) => log.warn({ problem: messageOf(error) }, 'node not marked')),
    keep: async (cache) => {
      const problems: string[] = [];
      const attempt = async (part: Promise<void>): Promise<void> =>
        await part.catch((error) => void problems.push(messageOf(error)));
      await attempt(hairpin.keep(cache));
      if (options.routes) {
        await attempt(keepRoutes(iproute2, cache));
      }
      if (options.hashThresholds) {
        await attempt(fitThresholds(cache));
      }
      if (problems.length > 0) {
        throw new Error(problems.join('; '));
      }
    },
    watch: async (onChange, signal) => {
      const changed = (): void => {
        hairpin.look();
        onChange();
      };
      const onDown = (reason: string): void =>
        log.warn({ problem: reason }, 'nftables not followed by events: looked at once a second');
      await watchTables({ ...iproute2, nft, sleep, now, onChange: changed, onDown }, signal);
    },
  };
}
