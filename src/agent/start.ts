import { mkdirSync } from 'node:fs';
import type { Logger } from 'pino';
import type { Source } from '../cluster/objects.ts';
import type { KnownItems } from '../cluster/policies/items.ts';
import type { Profile } from '../ipsec/charon/profile.ts';
import type { StreamingIproute2 } from '../ipsec/xfrm/iproute2.ts';
import { listUsedPolicies } from '../ipsec/xfrm/kernel.ts';
import type { Heartbeat } from '../rundir/heartbeat.ts';
import { attachmentsDir, heartbeatPath } from '../rundir/paths.ts';
import { readNodeCache } from '../rundir/read.ts';
import type { NodeCache, NodeCacheContent } from '../rundir/schema.ts';
import { writeFileAtomic } from '../rundir/write.ts';
import { memoized } from '../util/memo.ts';
import { createWake } from '../util/wake.ts';
import { watchFolder } from '../util/watch-folder.ts';
import { type AgentEffects, runAgent } from './agent.ts';
import { createCharonLink } from './charon/link.ts';
import { paceOf } from './charon/pace.ts';
import type { Service } from './charon/renewal.ts';
import { openCharonSession } from './charon/session.ts';
import { createEnabling } from './enabling/enabling.ts';
import { childrenInUse } from './enabling/first-use.ts';
import { createHairpin, type HairpinOptions } from './host/hairpin.ts';
import { keepThresholds, planThresholds } from './host/hash-thresholds.ts';
import { keepRoutes } from './host/routes.ts';
import { applySysctls } from './host/sysctl.ts';
import { createNodeEnforcer, sleep } from './kernel/node.ts';
import type { Keys } from './keys/keys.ts';
import { buildNodeCache } from './model/model.ts';
import type { Publisher } from './report/publish.ts';

/** How often the kernel's thresholds are looked at. */
const THRESHOLDS_MS = 60_000;

export interface AgentOptions {
  readonly nodeName: string;
  readonly source: Source;
  readonly runDir: string;
  /** charon's VICI socket. */
  readonly vici: string;
  readonly keys: Keys;
  /** What a CHILD_SA serves before it is replaced. */
  readonly rekeyAfter: Service;
  /** Seconds that the ends of a renewal wait for each other. */
  readonly renewalHoldS: number;
  /** Seconds for which the controller waits for a node while a policy is being enabled. */
  readonly phaseLimitS: number;
  readonly childSaScope: NodeCacheContent['childSaScope'];
  readonly nodeTraffic: boolean;
  readonly strict: boolean;
  /** Keep routes to the peers' pod CIDRs, and forwarding. */
  readonly routes: boolean;
  /** Fit the kernel's hash thresholds to the pod CIDRs. */
  readonly hashThresholds: boolean;
  readonly protectUnlisted: boolean;
  readonly profile: Profile;
  readonly iproute2: StreamingIproute2;
  /** Absolute path of `nft`. */
  readonly nft: string;
  /** Normally `/proc/sys`. */
  readonly sysctlRoot: string;
  /** Tells the cluster what this node enforces; absent without an API server. */
  readonly publisher?: Publisher;
  readonly process: Pick<Heartbeat, 'pid' | 'version'>;
  readonly log: Logger;
}

/** Runs the watcher on this node until the signal aborts. Throws if the source or the kernel settings are out of reach. */
export async function startAgent(options: AgentOptions, signal: AbortSignal): Promise<void> {
  const { runDir, iproute2, log } = options;
  mkdirSync(attachmentsDir(runDir), { recursive: true, mode: 0o700 });
  applySysctls({ runDir, root: options.sysctlRoot, forwarding: options.routes });
  const initial = readNodeCache(runDir);
  if (initial.kind === 'unreadable' || initial.kind === 'invalid') {
    log.warn({ problem: initial.message }, 'node cache not read, starting without');
  }
  const wake = createWake();
  const charon = createCharonLink({
    open: (aborted) =>
      openCharonSession(
        {
          path: options.vici,
          profile: options.profile,
          iproute2,
          rekeyAfter: options.rekeyAfter,
          pace: paceOf(options.renewalHoldS),
          phaseLimitMs: 1_000 * options.phaseLimitS,
          readIdentity: options.keys.identity,
          onDown: () => wake.notify('charon'),
          onFailures: () => wake.notify('change'),
          onPins: () => wake.notify('change'),
          onOrphans: (replaced) => log.info({ replaced }, 'SAs of a former charon replaced'),
          onError: (error) => log.warn({ err: error }, 'charon not brought in step'),
        },
        aborted,
      ),
    onChange: () => wake.notify('charon'),
    sleep,
  });
  const kernel = createNodeEnforcer(runDir, iproute2, log);
  const effects: AgentEffects = {
    source: options.source,
    wake,
    charon,
    model: modeller(options, initial.kind === 'ok'),
    enforce: kernel.enforce,
    undisturbed: kernel.undisturbed,
    intact: kernel.intact,
    keepNetwork: networkKeeper(options),
    publish: (report) => options.publisher?.publish(report),
    warmUp: async (cache) => {
      const bringUp = async (): Promise<void> =>
        await charon.bringUp(childrenInUse(cache, await listUsedPolicies(iproute2)));
      await bringUp().catch((error) => log.warn({ err: error }, 'children of live traffic not brought up'));
    },
    watchAttachments: (running) => watchFolder(attachmentsDir(runDir), () => wake.notify('change'), running),
    writeHeartbeat: (beat) =>
      writeFileAtomic(heartbeatPath(runDir), `${JSON.stringify({ ...beat, ...options.process })}\n`),
    sleep,
    now: Date.now,
    log,
  };
  const stop = new AbortController();
  const running = AbortSignal.any([signal, stop.signal]);
  const publishing = options.publisher?.run(running);
  const keeping = options.keys.run(
    (identity) =>
      void charon.renew(identity).catch((error) => log.warn({ err: error }, 'certificate not renewed')),
    running,
  );
  try {
    await runAgent(effects, initial.kind === 'ok' ? initial.value : null, signal);
  } finally {
    stop.abort();
    await Promise.all([publishing, keeping]);
  }
}

function networkKeeper(options: AgentOptions): AgentEffects['keepNetwork'] {
  const keepHairpin = createHairpin(hairpinOptions(options), Date.now);
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

function hairpinOptions({ iproute2, nft, sysctlRoot }: AgentOptions): HairpinOptions {
  return { ...iproute2, nft, sysctlRoot };
}

/** Remembers the last good form of every item, so that an edit that breaks one does not unprotect it. */
function modeller(options: AgentOptions, remembers: boolean): AgentEffects['model'] {
  const { nodeName, childSaScope, nodeTraffic, strict, protectUnlisted } = options;
  const enabling = createEnabling(remembers, 1_000 * options.phaseLimitS, Date.now);
  let knownItems: KnownItems = new Map();
  return (snapshot, previous: NodeCache | null) => {
    const phases = enabling.phases(snapshot.objects.policies);
    const settings = { nodeName, childSaScope, nodeTraffic, strict, protectUnlisted };
    const model = buildNodeCache({
      ...settings,
      objects: snapshot.objects,
      previous,
      knownItems,
      phases,
      now: Date.now(),
    });
    knownItems = model.knownItems;
    return { ...model, phases };
  };
}
