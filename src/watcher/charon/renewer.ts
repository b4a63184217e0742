import { setTimeout } from 'node:timers/promises';
import type { Charon } from '../../ipsec/charon/charon.ts';
import type { ConnectionConfig } from '../../ipsec/types.ts';
import type { NodeIdentity } from '../../pki/identity.ts';
import { dueConnections, type RenewalEffects, renewStale } from './renewal.ts';
import type { CharonSessionOptions } from './session.ts';

export interface RenewerOptions
  extends Pick<CharonSessionOptions, 'rekeyAfterS' | 'pace' | 'onFailures' | 'onError'>,
    Pick<RenewalEffects, 'open' | 'release'> {
  readonly planned: () => readonly ConnectionConfig[];
  /** Loading and pruning come one after the other. */
  readonly inTurn: <T>(work: () => Promise<T>) => Promise<T>;
}

/** A peer with which no new IKE_SA comes up keeps the old one, and is asked again. */
const RETRY_MS = 30_000;
/** How often in the life of a CHILD_SA its age is looked at. */
const LOOKS = 60;

/** Replaces what has served its time, for as long as a session with charon lasts. */
export interface Renewer {
  /** Works with another identity from now on. Resolves when every IKE_SA has one of the new certificate in its place. @throws ViciError */
  renew(former: NodeIdentity, next: NodeIdentity): Promise<void>;
  stop(): void;
}

export function createRenewer(charon: Charon, options: RenewerOptions): Renewer {
  const { planned, inTurn, rekeyAfterS, onFailures, onError } = options;
  const ended = new AbortController();
  const { signal } = ended;
  const effects: RenewalEffects = {
    open: options.open,
    release: options.release,
    pace: options.pace,
    sleep: (ms) => setTimeout(ms),
    onError,
  };
  let round = 0;

  /** What became stale is replaced, again and again until it is; a later call takes over from an earlier one. */
  const settle = async (): Promise<void> => {
    round += 1;
    const mine = round;
    while (mine === round && !signal.aborted && (await renewStale(charon, planned(), effects)) > 0) {
      await setTimeout(RETRY_MS, undefined, { signal }).catch(() => undefined);
    }
    if (mine === round) {
      charon.renewing(false);
    }
  };

  const replaceDue = async (afterS: number): Promise<void> => {
    const ours = new Set(planned().map(({ name }) => name));
    const due = dueConnections(await charon.listSas(), afterS).filter((name) => ours.has(name));
    if (due.length > 0) {
      charon.renewing(true);
      charon.replace(due);
      await inTurn(() => charon.load(planned()));
      await settle();
    }
  };

  const rekey = async (): Promise<void> => {
    // A thousand SAs that came up together are not replaced together.
    const afterS = rekeyAfterS * (0.9 + 0.1 * Math.random());
    while (!signal.aborted) {
      await setTimeout((rekeyAfterS * 1_000) / LOOKS, undefined, { signal });
      await replaceDue(afterS).catch((error) => (signal.aborted ? undefined : onError(error)));
    }
  };
  rekey().catch(() => undefined);

  const loadAnew = async (former: NodeIdentity, next: NodeIdentity): Promise<void> => {
    await charon.loadIdentity(next);
    await charon.load(planned());
    await charon.forgetFormerKeys();
    const forgotten = former.trusted.filter((root) => !next.trusted.includes(root));
    if (forgotten.length > 0 && !(await charon.forgetAuthorities(next))) {
      onError(new Error(`charon trusts ${forgotten.join(', ')} until it is started again`));
    }
  };

  return {
    async renew(former, next) {
      charon.renewing(true);
      await inTurn(() => loadAnew(former, next));
      onFailures();
      await settle();
    },
    stop: () => ended.abort(),
  };
}
