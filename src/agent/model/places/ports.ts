import type { EndpointSlice } from '../../../cluster/objects.ts';
import type { ModelEntry } from '../../../cluster/policies/entry.ts';
import { protoOf } from '../../../cluster/policies/service-ports.ts';
import { childFor } from '../../../ipsec/plan/child.ts';
import { compareFurthest, strongest } from '../../../ipsec/plan/phase.ts';
import type { Phase } from '../../../ipsec/plan/types.ts';
import type { ProtectedPort } from '../../../rundir/schema.ts';

export type ChildLookup = Parameters<typeof childFor>[0];

/**
 * The ports that are protected at the endpoints of a slice. A port that the entry gives as a number is
 * protected whether these endpoints have it or not, as the node of the endpoint does it too. A port that the
 * entry gives by name has the number that this slice says.
 */
export function protectedPorts(
  model: ModelEntry,
  slice: EndpointSlice,
  children: ChildLookup,
): ProtectedPort[] {
  const { entry, portNames } = model;
  const port = (proto: ProtectedPort['proto'], number: number, phase: Phase | undefined): ProtectedPort => ({
    proto,
    port: number,
    child: childFor(children, entry, proto, number),
    ...(phase === undefined || phase === 'require' ? {} : { phase }),
  });
  const numbered = entry.ports.flatMap(({ proto, target, phase }) =>
    typeof target === 'number' ? [port(proto, target, phase)] : [],
  );
  const named = (slice.ports ?? []).flatMap((each) => {
    const proto = protoOf(each.protocol);
    const number = each.port ?? 0;
    const phase = portNames.get(`${proto}/${each.name ?? ''}`);
    return number > 0 && phase !== undefined ? [port(proto, number, phase)] : [];
  });
  return [...numbered, ...named];
}

/**
 * Joins two lists of ports, without repetitions and in a fixed order. A port in both gets the further phase
 * and goes through its child: peers may not know yet a child that is being enabled. If both are equally far,
 * the child of the first list has it.
 */
export function merge(a: readonly ProtectedPort[], b: readonly ProtectedPort[]): ProtectedPort[] {
  const byKey = new Map<string, ProtectedPort>();
  for (const { phase, ...own } of [...a, ...b]) {
    const key = `${own.proto}/${String(own.port).padStart(5, '0')}`;
    const merged = byKey.get(key);
    const first = merged === undefined || compareFurthest(phase, merged.phase) < 0 ? own : merged;
    const port = { ...own, child: first.child };
    const both = merged === undefined ? (phase ?? 'require') : strongest([phase, merged.phase]);
    byKey.set(key, both === 'require' ? port : { ...port, phase: both });
  }
  return [...byKey].sort(([x], [y]) => (x < y ? -1 : 1)).map(([, port]) => port);
}
