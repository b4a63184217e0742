import type { Charon } from '../../ipsec/charon/charon.ts';
import type { ConnectionConfig } from '../../ipsec/plan/types.ts';
import type { NodeIdentity } from '../../pki/identity.ts';
import { dueConnections, type Lifetime, type RenewalEffects, renewStale } from './renewal.ts';
import type { CharonSessionOptions } from './session-options.ts';

export interface RenewerOptions
  extends Pick<CharonSessionOptions, 'rekeyAfter' | 'onFailures'>,
    RenewalEffects {
  readonly planned: () => readonly ConnectionConfig[];
  /** Runs work in turn with other loading and pruning. */
  readonly inTurn: <T>(work: () => Promise<T>) => Promise<T>;
  /** Aborted when the session ends. */
  readonly signal: AbortSignal;
}

/**
 * When renewing is tried again with a peer with which no new IKE_SA came up. The old one stays until then.
 */
const RETRY_MS = 30_000;
/** How often, in that time, to look whether more has become stale. */
const RETRY_LOOK_MS = 1_000;
/** How often in the lifetime of a CHILD_SA its age and its packets are looked at. */
const LOOKS = 60;

/** Replaces CHILD_SAs whose lifetime is over, for as long as a session with charon lasts. */
export interface Renewer {
  /**
   * Works with another identity from now on. Resolves when every IKE_SA of the former certificate has been
   * replaced. @throws ViciError
   */
  renew(former: NodeIdentity, next: NodeIdentity): Promise<void>;
}

export function createRenewer(charon: Charon, options: RenewerOptions): Renewer {
  const { planned, inTurn, sleep, signal, rekeyAfter, onFailures, onError } = options;
  let again = false;
  let running: Promise<void> | undefined;

  /**
   * Has stale IKE_SAs renewed, again and again until none is left. Resolves when that is so. A call joins a
   * run that is under way, and makes it look again at once: what has just become stale does not wait for a
   * peer that refuses.
   */
  const demandRenewal = (): Promise<void> => {
    again = true;
    running ??= renewUntilNoneIsStale();
    return running;
  };

  const renewUntilNoneIsStale = async (): Promise<void> => {
    while (again && !signal.aborted) {
      again = false;
      const failed = await renewStale(charon, planned(), options).catch((error) => {
        onError(error);
        return 1;
      });
      for (let waited = 0; failed > 0 && !again && waited < RETRY_MS && !signal.aborted; ) {
        await sleep(RETRY_LOOK_MS);
        waited += RETRY_LOOK_MS;
      }
      again ||= failed > 0;
    }
    running = undefined;
    charon.renewing(false);
  };

  const replaceDue = async (lifetime: Lifetime): Promise<void> => {
    const ours = new Set(planned().map(({ name }) => name));
    const due = dueConnections(await charon.listSas(), charon.stale(), lifetime).filter((name) =>
      ours.has(name),
    );
    if (due.length > 0) {
      charon.renewing(true);
      charon.replace(due);
      await inTurn(() => charon.load(planned()));
      void demandRenewal();
    }
  };

  const rekey = async (): Promise<void> => {
    // The lifetime differs by chance, so that a thousand SAs that came up together are not replaced together.
    const seconds = rekeyAfter.seconds * (0.9 + 0.1 * Math.random());
    while (!signal.aborted) {
      await sleep((rekeyAfter.seconds * 1_000) / LOOKS);
      await replaceDue({ ...rekeyAfter, seconds }).catch(onError);
    }
  };
  void rekey();

  const loadAnew = async (former: NodeIdentity, next: NodeIdentity): Promise<void> => {
    await charon.loadCredentials(next);
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
      await demandRenewal();
    },
  };
}
