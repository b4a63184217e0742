import { isOurReqid, REQID_FIRST, REQID_STRANGER } from '../../ipsec/plan/ours.ts';

/** Reqids by peer, then by child configuration name. */
export type Reqids = ReadonlyMap<string, Readonly<Record<string, number>>>;

const RANGE = REQID_STRANGER - REQID_FIRST;

/**
 * Assigns a reqid to every child configuration towards every peer, unique on this node (docs/design.md,
 * Reqids). A configuration that had a reqid keeps it, because SAs in the kernel have it. The reqids of
 * departed peers stay taken, because policies have them for a while. For a new configuration the search
 * begins at a hash of its name, so it usually gets the same number even if the cache was lost.
 */
export function assignReqids(peers: readonly string[], configs: readonly string[], previous: Reqids): Reqids {
  const present = new Set(peers);
  const gone = [...previous].filter(([peer]) => !present.has(peer));
  const taken = new Set(gone.flatMap(([, reqids]) => Object.values(reqids)));
  const assigned = new Map<string, Record<string, number>>();
  for (const peer of peers) {
    const kept = configs.flatMap((config) => {
      const reqid = previous.get(peer)?.[config];
      return reqid === undefined || !isOurReqid(reqid) || taken.has(reqid) ? [] : [[config, reqid] as const];
    });
    for (const [, reqid] of kept) {
      taken.add(reqid);
    }
    assigned.set(peer, Object.fromEntries(kept));
  }
  for (const peer of peers) {
    const own = assigned.get(peer) ?? {};
    for (const config of configs.filter((name) => own[name] === undefined)) {
      let slot = hash(`${peer}/${config}`) % RANGE;
      while (taken.has(REQID_FIRST + slot)) {
        slot = (slot + 1) % RANGE;
      }
      own[config] = REQID_FIRST + slot;
      taken.add(REQID_FIRST + slot);
    }
    assigned.set(peer, Object.fromEntries(Object.entries(own).sort(([a], [b]) => (a < b ? -1 : 1))));
  }
  return assigned;
}

/** FNV-1a, 32 bits. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (const byte of Buffer.from(text)) {
    value = Math.imul(value ^ byte, 0x01000193) >>> 0;
  }
  return value;
}
