import type { ChildConfig, ConnectionConfig } from '../plan/types.ts';
import type { ViciMessage } from '../vici/message.ts';
import { PROTOCOL_NUMBERS } from '../xfrm/protocol.ts';
import { PROFILES, type Profile } from './profile.ts';

/** Time without an IKE message after which charon asks a peer for a sign of life (RFC 7296 2.4). */
const DPD_DELAY = '10s';
/**
 * `rekey_time` of IKE_SAs in seconds, for each generation. A connection with another value is another
 * connection to charon, which then brings up a new IKE_SA beside the one that is there.
 */
export const IKE_REKEY_S = [14_400, 14_401] as const;
/**
 * Agents replace CHILD_SAs before this time (`LONGEST_LIFETIME`), without losing packets in flight. charon's
 * own rekeying is for a node whose agent is away; it begins up to a tenth sooner (swanctl.conf(5),
 * rand_time).
 */
const CHILD_REKEY = '2h';
/** An SA with sequence numbers of 32 bits can send no packet after the first 2^32 (RFC 4303 3.3.3). */
const CHILD_REKEY_PACKETS = 3_000_000_000;
const CHILD_LIFE_PACKETS = 4_200_000_000;

/**
 * Replay window in packets (RFC 4303 3.4.3). Packets that waited for their SA leave in one burst, up to 100
 * for each policy, and packets that are sent after them can overtake them. With charon's default of 32 the
 * peer would drop those that come late as replays.
 */
const REPLAY_WINDOW = 1_024;

/** What all connections of a node have in common. */
export interface Terms {
  readonly profile: Profile;
  /**
   * The node's certificate, PEM. Each connection names it, so a connection with another certificate is
   * another connection to charon.
   */
  readonly certificate?: string;
}

/** Changes between 0 and 1 to make charon replace a connection, and with it the IKE_SAs that run. */
export type Generation = 0 | 1;

/** The message that `load-conn` takes for a connection, without the connection's name (swanctl.conf(5)). */
export function renderConnection(
  config: ConnectionConfig,
  terms: Terms,
  generation: Generation = 0,
): ViciMessage {
  const { profile } = terms;
  return {
    ...renderIke(config, terms, generation),
    children: Object.fromEntries(
      config.children.map((child) => [child.name, renderChild(config, child, profile)]),
    ),
  };
}

/**
 * The part of a connection that a running IKE_SA keeps for its life. If it changes, charon replaces the whole
 * connection.
 *
 * `unique = never`: charon neither sends nor heeds INITIAL_CONTACT (RFC 7296 2.4). When both nodes initiate
 * at once, each would otherwise drop the IKE_SA that the other one has just begun to send through. What a
 * peer has lost is found out by its boot ID, its agent or DPD.
 */
export function renderIke(
  config: ConnectionConfig,
  { profile, certificate }: Terms,
  generation: Generation = 0,
): ViciMessage {
  return {
    version: '2',
    local_addrs: config.localAddrs,
    remote_addrs: config.remoteAddrs,
    proposals: PROFILES[profile].ike,
    unique: 'never',
    mobike: 'no',
    dpd_delay: DPD_DELAY,
    rekey_time: `${IKE_REKEY_S[generation]}s`,
    reauth_time: '0s',
    local: {
      auth: 'pubkey',
      id: config.localId,
      ...(certificate === undefined ? {} : { certs: [certificate] }),
    },
    remote: { auth: 'pubkey', id: config.remoteId },
  };
}

function renderChild(config: ConnectionConfig, child: ChildConfig, profile: Profile): ViciMessage {
  const label = pairLabel(config, child.name);
  return {
    mode: 'tunnel',
    policies: 'no',
    reqid: String(child.reqid),
    // No close_action and no dpd_action: the trap stays anyway, and an SA of a former configuration would
    // bring back the trap of that configuration.
    start_action: 'trap',
    esp_proposals: PROFILES[profile].esp,
    replay_window: String(REPLAY_WINDOW),
    local_ts: child.localTs.map(numeric),
    remote_ts: child.remoteTs.map(numeric),
    rekey_time: CHILD_REKEY,
    rekey_packets: String(CHILD_REKEY_PACKETS),
    life_packets: String(CHILD_LIFE_PACKETS),
    ...(label === undefined ? {} : { label, label_mode: 'simple' }),
  };
}

/**
 * Replaces the name of a protocol by its number: charon looks names up in /etc/protocols, which a container
 * need not have.
 */
function numeric(selector: string): string {
  return selector.replace(
    /\[(tcp|udp|sctp)\b/,
    (_, name: 'tcp' | 'udp' | 'sctp') => `[${PROTOCOL_NUMBERS[name]}`,
  );
}

/**
 * The label of a pair of children. `<proto>_<entry>_egress` on one node and `<proto>_<entry>_ingress` on its
 * peer have the same label, and no other child has it. It makes the responder take the child that the
 * initiator means. Without labels charon compares traffic selectors, adds up every overlap and lets the sum
 * decide, which can be another child. Undefined for a wide child.
 */
export function pairLabel(config: ConnectionConfig, child: string): string | undefined {
  const [, pair, side] = /^(.+)_(egress|ingress)$/.exec(child) ?? [];
  if (pair === undefined) {
    return undefined;
  }
  return `${pair} of ${side === 'egress' ? config.remoteId : config.localId}`;
}
