import type { Charon } from '../../ipsec/charon/charon.ts';
import { type Failure, failureIn, NO_ANSWER } from '../../ipsec/charon/log/failures.ts';
import type { IkeSa } from '../../ipsec/charon/replies.ts';
import { isAnnouncement, pinsFor } from '../../ipsec/charon/sas/pins.ts';
import type { ConnectionConfig } from '../../ipsec/plan/types.ts';
import { createDeadPeers } from './dead-peers.ts';
import type { Pinning } from './pinning.ts';
import type { CharonSessionOptions } from './session-options.ts';
import { createTrapWatch, type RepairEffects } from './trap-watch.ts';

export interface FollowOptions extends Pick<CharonSessionOptions, 'onDown' | 'onFailures' | 'onError'> {
  /** The last failure with each connection that is not up. `follow` keeps it up to date. */
  readonly failures: Map<string, Failure>;
  readonly pinning: Pinning;
  readonly repair: RepairEffects;
  readonly planned: () => readonly ConnectionConfig[];
  /** Aborted when the session ends. */
  readonly signal: AbortSignal;
}

/** Subscribes to the events that charon sends of its own accord, and acts on them. @throws ViciError */
export async function follow(charon: Charon, options: FollowOptions): Promise<void> {
  const { failures, pinning, repair, planned, signal, onDown, onFailures, onError } = options;
  const onAnswer = (connection: string): void => {
    if (failures.get(connection)?.reason === NO_ANSWER) {
      failures.delete(connection);
      onFailures();
    }
  };
  const peers = createDeadPeers(charon, { onAnswer, onError, signal });
  const traps = createTrapWatch({ ...repair, planned, doubts: peers.doubts, onError, signal });
  const pinIf = (connection: string, applies: (sas: readonly IkeSa[]) => boolean): void => {
    charon
      .listSas(connection)
      .then((sas) => (applies(sas) ? pinning.add(pinsFor(connection, sas)) : undefined))
      .catch(onError);
  };
  await charon.onIkeRekey(({ connection, initiator }) => {
    if (!initiator) {
      pinIf(connection, () => true);
    }
  });
  await charon.onChildRekey((old) => {
    for (const { reqid, spiOut } of old) {
      pinning.unpin(reqid, spiOut);
    }
  });
  await charon.onUpdown(({ kind, up, sa }) => {
    for (const { reqid, spiOut } of sa.children) {
      if (!up) {
        pinning.unpin(reqid, spiOut);
      } else if (kind === 'child') {
        pinning.cameUp(reqid);
      }
    }
    if (up && kind === 'ike' && !sa.initiator) {
      pinIf(sa.connection, (sas) => isAnnouncement(sa.uniqueId, sas));
    }
    if (up && kind === 'child' && failures.delete(sa.connection)) {
      onFailures();
    } else if (!up) {
      onDown();
    }
  });
  await charon.onLog((message) => {
    const failure = failureIn(message);
    if (failure !== undefined && failures.get(failure.connection)?.reason !== failure.reason) {
      failures.set(failure.connection, failure);
      onFailures();
    }
    peers.note(message);
    traps.note(message);
  });
}
