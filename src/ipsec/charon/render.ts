import type { ChildConfig, ConnectionConfig } from '../plan/types.ts';
import type { ViciMessage } from '../vici/message.ts';
import { PROTOCOL_NUMBERS } from '../xfrm/protocol.ts';
import { PROFILES, type Profile } from './profile.ts';

/** Seconds without an IKE message before a peer is asked for a sign of life (RFC 7296 2.4). */
const DPD_DELAY = '10s';
/** Seconds. charon takes a connection with another one for another connection, and brings up an IKE_SA beside the one that is there. */
export const IKE_REKEY_S = [14_400, 14_401] as const;
/**
 * Agents replace CHILD_SAs before that (`LONGEST_LIFETIME`), without losing what is on its way. charon's own rekeying is for a node whose agent
 * is away; it begins up to a tenth sooner (swanctl.conf(5), rand_time).
 */
const CHILD_REKEY = '2h';
/** An SA with sequence numbers of 32 bits falls silent at 2^32 packets (RFC 4303 3.3.3). */
const CHILD_REKEY_PACKETS = 3_000_000_000;
const CHILD_LIFE_PACKETS = 4_200_000_000;

/**
 * Packets (RFC 4303 3.4.3). Those that waited for their SA leave in one burst, up to 100 for each policy, and what is sent after them can be
 * faster: charon's default of 32 would drop the others as replays.
 */
const REPLAY_WINDOW = 1_024;

/** What all connections of a node have in common. */
export interface Terms {
  readonly profile: Profile;
  /** The node's certificate, PEM. Named by each connection, so that with another one charon takes the connection for another. */
  readonly certificate?: string;
}

/** Counts up to replace what runs: 0 or 1, in turn. */
export type Generation = 0 | 1;

/** What is asked of charon for a connection, without its name: the message that `load-conn` takes (swanctl.conf(5)). */
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
 * The part that a running IKE_SA keeps for its life: charon replaces the whole connection if it changes.
 *
 * `unique = never`: neither sends nor heeds INITIAL_CONTACT (RFC 7296 2.4). When both nodes initiate at once, each would otherwise
 * drop the IKE_SA that the other one has just begun to send through. What a peer has lost, its boot ID, its agent or DPD tells.
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
    // No close_action and no dpd_action: the trap stays anyway, and an SA of a former configuration would put that one's back in its place.
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

/** charon looks names of protocols up in /etc/protocols, which a container need not have. */
function numeric(selector: string): string {
  return selector.replace(
    /\[(tcp|udp|sctp)\b/,
    (_, name: 'tcp' | 'udp' | 'sctp') => `[${PROTOCOL_NUMBERS[name]}`,
  );
}

/**
 * Names a pair of children: `<proto>_<entry>_egress` on one node and `<proto>_<entry>_ingress` on its peer have the same label, no
 * other two have. The responder then takes the child that the initiator means; left to compare traffic selectors, it can take
 * another one, since charon adds up every overlap and lets the sum decide.
 */
export function pairLabel(config: ConnectionConfig, child: string): string | undefined {
  const [, pair, side] = /^(.+)_(egress|ingress)$/.exec(child) ?? [];
  if (pair === undefined) {
    return undefined;
  }
  return `${pair} of ${side === 'egress' ? config.remoteId : config.localId}`;
}
