import type { Family } from '../../../ip/family.ts';
import type { ProtectedPort } from '../../../rundir/schema.ts';
import type { ChildOrder } from '../child.ts';
import { compareFurthest, strongest } from '../phase.ts';
import { EVERY_PORT, isEveryPort } from '../ports.ts';
import type { Phase, SelectorProtocol } from '../types.ts';

/**
 * What the policies for one port of a protected address need: protocol and port of their selectors, the
 * child, and the phase.
 */
export interface PortSelector {
  readonly proto: SelectorProtocol;
  readonly port: number;
  readonly child: string;
  readonly phase: Phase;
}

/**
 * The smallest set of selectors that covers the ports of one protected address, with ICMP. A wider port
 * absorbs the narrower ones, so no two selectors of one address overlap; the selector gets the furthest phase
 * of all the ports that it absorbs. ICMP is covered because an ICMP error quotes the packet that it is about,
 * in the clear (docs/design.md, ICMP and fragments). A port that several entries have at the address, and
 * ICMP, go through the first child of those with the furthest phase: a peer may not know yet a child that is
 * being enabled.
 */
export function portSelectors(
  ports: readonly ProtectedPort[],
  family: Family,
  order: ChildOrder,
): PortSelector[] {
  const sorted = [...ports].sort((a, b) => order(a.child, b.child) || a.port - b.port);
  const everything = sorted.find((port) => port.proto === 'any');
  if (everything !== undefined) {
    return [{ proto: 'any', port: EVERY_PORT, child: everything.child, phase: phaseOf(sorted) }];
  }
  const selectors = new Map<string, PortSelector>();
  for (const port of sorted) {
    const wide = isEveryPort(port.port)
      ? port
      : sorted.find((other) => other.proto === port.proto && isEveryPort(other.port));
    const { proto, port: number, child } = wide ?? port;
    if (proto !== 'any') {
      const key = `${proto}/${number}`;
      const before = selectors.get(key);
      const phase = strongest([port.phase, before?.phase ?? 'accept']);
      const first =
        before === undefined || compareFurthest(port.phase, before.phase) < 0 ? child : before.child;
      selectors.set(key, { proto, port: number, child: first, phase });
    }
  }
  const chosen = [...selectors.values()].sort((a, b) => order(a.child, b.child));
  const phase = phaseOf(chosen);
  const first = chosen.find((one) => one.phase === phase);
  if (first === undefined) {
    return [];
  }
  const proto = family === 4 ? 'icmp' : 'icmpv6';
  return [...chosen, { proto, port: EVERY_PORT, child: first.child, phase }];
}

function phaseOf(ports: readonly { readonly phase?: Phase | undefined }[]): Phase {
  return strongest(ports.map(({ phase }) => phase));
}
