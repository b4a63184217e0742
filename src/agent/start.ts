import { mkdirSync } from 'node:fs';
import type { Logger } from 'pino';
import type { Source } from '../cluster/snapshot.ts';
import type { Profile } from '../ipsec/charon/profile.ts';
import type { StreamingIproute2 } from '../ipsec/xfrm/iproute2.ts';
import { listUsedPolicies } from '../ipsec/xfrm/kernel.ts';
import { readAcceptedIn, writeAccepted } from '../rundir/accepted.ts';
import type { Heartbeat } from '../rundir/heartbeat.ts';
import { attachmentsDir, heartbeatPath } from '../rundir/paths.ts';
import { readNodeCache } from '../rundir/read.ts';
import type { NodeCacheContent } from '../rundir/schema.ts';
import { writeFileAtomic } from '../rundir/write.ts';
import { sleep } from '../util/sleep.ts';
import { uptime } from '../util/uptime.ts';
import { createWake } from '../util/wake.ts';
import { watchFolder } from '../util/watch-folder.ts';
import { runAgent } from './agent.ts';
import { createCharonLink } from './charon/link.ts';
import { paceOf } from './charon/pace.ts';
import type { Lifetime } from './charon/renewal.ts';
import { openCharonSession } from './charon/session.ts';
import type { AgentEffects } from './effects.ts';
import { childrenInUse } from './enabling/first-use.ts';
import { createNetworkKeeper } from './host/network.ts';
import { applySysctls } from './host/sysctl.ts';
import { createNodeKernel } from './kernel/node-kernel.ts';
import type { Keys } from './keys/keys.ts';
import { createModeller } from './model/modeller.ts';
import { whyNftFails } from './nft-works.ts';
import type { Publisher } from './report/publish.ts';

export interface AgentOptions {
  readonly nodeName: string;
  readonly source: Source;
  readonly runDir: string;
  /** Where what was accepted is kept; one that outlives a boot. By default the run directory. */
  readonly stateDir?: string;
  /** charon's VICI socket. */
  readonly vici: string;
  readonly keys: Keys;
  /** What a CHILD_SA serves before it is replaced. */
  readonly rekeyAfter: Lifetime;
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
  /** What else is to be told as a problem of this node. */
  readonly notices: () => readonly string[];
  readonly process: Pick<Heartbeat, 'pid' | 'version'>;
  readonly log: Logger;
}

/**
 * Runs the agent of this node with its real effects until the signal aborts. Throws if the source or the
 * kernel settings are out of reach.
 */
export async function startAgent(options: AgentOptions, signal: AbortSignal): Promise<void> {
  const { runDir, stateDir = runDir, iproute2, log } = options;
  mkdirSync(attachmentsDir(runDir), { recursive: true, mode: 0o700 });
  applySysctls({ runDir, root: options.sysctlRoot, forwarding: options.routes });
  const initial = readNodeCache(runDir);
  if (initial.kind === 'unreadable' || initial.kind === 'invalid') {
    log.warn({ problem: initial.message }, 'node cache not read, starting without');
  }
  const accepted = readAcceptedIn(stateDir, runDir);
  if (accepted.kind === 'unreadable' || accepted.kind === 'invalid') {
    log.warn({ problem: accepted.message }, 'what was accepted is not known any more');
  }
  const modeller = createModeller(options, {
    cache: initial.kind === 'ok',
    accepted: accepted.kind === 'ok' ? accepted.value : null,
    keep(next) {
      try {
        writeAccepted(stateDir, next);
        return true;
      } catch (error) {
        log.error({ err: error }, 'what was accepted is not kept: a restart may lose it');
        return false;
      }
    },
  });
  const wake = createWake();
  const news = createWake();
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
          onFailures: () => news.notify(),
          onPins: () => wake.notify('change'),
          onOrphans: (replaced) => log.info({ replaced }, 'SAs of a former charon replaced'),
          onError: (error) => log.warn({ err: error }, 'charon not brought in step'),
        },
        aborted,
      ),
    onChange: () => wake.notify('charon'),
    sleep,
  });
  const network = createNetworkKeeper(options);
  const effects: AgentEffects = {
    source: options.source,
    wake,
    news,
    charon,
    ...modeller,
    kernel: createNodeKernel(runDir, iproute2, log, initial.kind === 'ok' ? initial.value : null),
    keepNetwork: network.keep,
    watchNetwork: network.watch,
    notices: options.notices,
    publish: (report) => options.publisher?.publish(report),
    warmUp: async (cache) => {
      const bringUp = async (): Promise<void> =>
        await charon.bringUp(childrenInUse(cache, await listUsedPolicies(iproute2)));
      await bringUp().catch((error) => log.warn({ err: error }, 'children of live traffic not brought up'));
    },
    watchAttachments: (running) => watchFolder(attachmentsDir(runDir), () => wake.notify('change'), running),
    writeHeartbeat: (beat) =>
      writeFileAtomic(
        heartbeatPath(runDir),
        `${JSON.stringify({ ...beat, ...options.process, uptimeMs: uptime() })}\n`,
      ),
    sleep,
    now: Date.now,
    log,
  };
  const lacking = await whyNftFails(iproute2.run, options.nft);
  if (lacking !== '') {
    log.error({ problem: lacking }, 'nft does not work');
  }
  await network.begin(initial.kind === 'ok' ? initial.value : null);
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
