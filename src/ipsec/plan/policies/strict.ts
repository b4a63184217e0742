import { familyOf, hostCidr } from '../../../ip/family.ts';
import type { NodeCache } from '../../../rundir/schema.ts';
import { isIcmp, PRIORITY_FIRST, REQID_STRANGER } from '../ours.ts';
import { EVERY_PORT } from '../ports.ts';
import type { ServedAddress } from '../served.ts';
import type { XfrmPolicy } from '../types.ts';
import { cidrsOf, KINDS, ownCidrs } from './maker.ts';
import type { PortSelector } from './selectors.ts';

/**
 * Policies of a served address with `strict`. A stranger, a source that is in no known pod CIDR, meets a
 * template that no SA ever satisfies, so it cannot reach a protected port in the clear. Sources on this node,
 * its pods and its own addresses, still can. ICMP stays open, because path MTU discovery needs it.
 */
export function strangerPolicies(
  cache: NodeCache,
  served: ServedAddress,
  selectors: readonly PortSelector[],
): XfrmPolicy[] {
  const family = familyOf(served.address);
  const [node = ''] = [...cache.node.addresses].sort((a, b) => familyOf(a) - familyOf(b));
  if (cache.strict !== true || node === '') {
    return [];
  }
  const dst = hostCidr(served.address);
  const dir = served.host ? 'in' : 'fwd';
  const policy = ({ proto, port }: PortSelector, src: string, kind: 'own' | 'stranger'): XfrmPolicy => ({
    dir,
    selector: { src, dst, proto, sport: EVERY_PORT, dport: port },
    priority: PRIORITY_FIRST + KINDS[kind],
    template: { src: node, dst: node, reqid: REQID_STRANGER, level: kind === 'own' ? 'use' : 'required' },
  });
  return selectors
    .filter(({ proto, phase }) => phase === 'require' && !isIcmp(proto))
    .flatMap((port) => [
      policy(port, family === 4 ? '0.0.0.0/0' : '::/0', 'stranger'),
      ...cidrsOf([...ownCidrs(cache), ...cache.node.addresses.map(hostCidr)], family).map((own) =>
        policy(port, own, 'own'),
      ),
    ]);
}
