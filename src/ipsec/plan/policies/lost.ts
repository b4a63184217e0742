import { familyOf, hostCidr } from '../../../ip/family.ts';
import type { LostEndpoint, NodeCache } from '../../../rundir/schema.ts';
import { childOrder } from '../child.ts';
import { isIcmp, PRIORITY_FIRST, REQID_STRANGER } from '../ours.ts';
import { EVERY_PORT } from '../ports.ts';
import type { XfrmPolicy } from '../types.ts';
import { clientsHere, KINDS } from './maker.ts';
import { portSelectors } from './selectors.ts';

/**
 * Returns a function that makes the policies of a client node for a protected address on no known node: what
 * this node's pods send to its protected ports meets a template that no SA ever satisfies. Nothing inbound is
 * laid: whoever sends from there is a stranger, as before.
 */
export function lostPlanner(cache: NodeCache): (endpoint: LostEndpoint) => XfrmPolicy[] {
  const [own = ''] = cache.node.addresses;
  const template = { src: own, dst: own, reqid: REQID_STRANGER, level: 'required' } as const;
  const priority = PRIORITY_FIRST + KINDS.address;
  const order = childOrder(cache.children);
  return ({ address, ports }) => {
    const family = familyOf(address);
    const dst = hostCidr(address);
    const selectors = portSelectors(ports, family, order).filter(
      ({ proto, phase }) => phase !== 'accept' && !isIcmp(proto),
    );
    return clientsHere(cache, family).flatMap(({ cidr: src }) =>
      selectors.map(({ proto, port }) => ({
        dir: 'out',
        selector: { src, dst, proto, sport: EVERY_PORT, dport: port },
        priority,
        template,
      })),
    );
  };
}
