/** An agent writes the status of its IPsecNode at least this often. Milliseconds. */
export const NODE_HEARTBEAT_MS = 60_000;

/** After this many intervals without a heartbeat, a node is not believed to enforce anything. */
const MISSED = 3;

/** How long a node may be without a heartbeat before it counts as silent. */
export const SILENT_MS = MISSED * NODE_HEARTBEAT_MS;

/**
 * Whether a node has been silent for too long. `lastHeartbeat` is RFC 3339; what is no time counts as never.
 */
export function isSilent(lastHeartbeat: string, now: number): boolean {
  return !(now - Date.parse(lastHeartbeat) <= SILENT_MS);
}
