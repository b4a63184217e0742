import { policyKey, REQID_ANY } from '../ipsec/plan/ours.ts';
import type { XfrmPolicy } from '../ipsec/plan/types.ts';
import type { NodeCache } from '../rundir/schema.ts';
import { formatTable } from './table.ts';

const HEAD = ['DIR', 'SRC', 'DST', 'PROTO', 'SPORT', 'DPORT', 'PRIO', 'TUNNEL', 'REQID', 'LEVEL', 'CHILD'];

/** The children of each reqid in the cache of this node, as `<peer> <child>`. */
export function childrenByReqid(cache: NodeCache | null): Map<number, string> {
  return new Map([
    [REQID_ANY, 'any'],
    ...(cache?.peers ?? []).flatMap((peer) =>
      Object.entries(peer.reqids).map(([child, reqid]) => [reqid, `${peer.name} ${child}`] as const),
    ),
  ]);
}

/**
 * `traplinectl policies` as text: our policies, sorted by key. The child is `-` if the cache has none with
 * the reqid.
 */
export function formatPolicies(policies: readonly XfrmPolicy[], cache: NodeCache | null): string {
  const children = childrenByReqid(cache);
  const sorted = [...policies].sort((a, b) => (policyKey(a) < policyKey(b) ? -1 : 1));
  const rows = sorted.map(({ dir, selector: { src, dst, proto, sport, dport }, priority, template }) => [
    dir,
    src,
    dst,
    proto,
    portOf(sport),
    portOf(dport),
    String(priority),
    `${template.src} > ${template.dst}`,
    String(template.reqid),
    template.level,
    children.get(template.reqid) ?? '-',
  ]);
  return formatTable([HEAD, ...rows]);
}

function portOf(port: number): string {
  return port === 0 ? '*' : String(port);
}
