import type { Service } from '../../../cluster/objects.ts';
import type { ModelEntry } from '../../../cluster/policies/entry.ts';
import type { AcceptedService } from '../../../rundir/accepted.ts';
import { DEPARTED_MS } from '../departed.ts';
import { keepSlices, readSlices, type Slices, uniquePorts } from './former-slices.ts';

/** Services that items name, as they last were, by `namespace/name`. */
export type KnownServices = ReadonlyMap<string, AcceptedService>;

/** The Services that entries are made from: those that are there, as they are, and those that are lost. */
export function nextServices(
  known: KnownServices,
  entries: readonly ModelEntry[],
  { present, lost }: { readonly present: ReadonlyMap<string, Service>; readonly lost: KnownServices },
): KnownServices {
  const next = new Map<string, AcceptedService>();
  for (const entry of entries) {
    const key = `${entry.entry.namespace}/${entry.entry.service}`;
    const service = present.get(key);
    const kept = lost.get(key) ?? (service && remember(service, entry, next.get(key) ?? known.get(key)));
    if (kept !== undefined) {
      next.set(key, kept);
    }
  }
  const same = next.size === known.size && [...next].every(([key, service]) => known.get(key) === service);
  return same ? known : next;
}

/** The last result for each entry. An entry is another one if its Service is. */
const rememberedOf = new WeakMap<ModelEntry, AcceptedService>();
/** The slices that a remembered Service had, for as long as this process lives. */
const slicesOf = new WeakMap<AcceptedService, Slices>();

/** What is remembered of a Service that is there; `before` itself if that is still true. */
function remember(service: Service, entry: ModelEntry, before: AcceptedService | undefined): AcceptedService {
  if (before !== undefined && rememberedOf.get(entry) === before) {
    return before;
  }
  const slices = readSlices(entry.slices);
  const told = needsSlices(service) ? uniquePorts(slices) : [];
  const slicePorts = told.length === 0 && samePorts(before, service) ? before?.slicePorts : told;
  const { namespace = 'default', name } = service.metadata;
  const { selector, ipFamilies } = service.spec;
  const now = {
    namespace,
    name,
    selector: selector ?? null,
    ipFamilies: ipFamilies ?? [],
    ports: portsIn(service),
    slicePorts: slicePorts ?? [],
  };
  const kept = before !== undefined && JSON.stringify(before) === JSON.stringify(now) ? before : now;
  rememberedOf.set(entry, kept);
  slicesOf.set(kept, slices);
  return kept;
}

/** Whether slices tell of target ports that the Service itself gives no number for. */
function needsSlices({ spec: { selector, ports } }: Service): boolean {
  const all = ports ?? [];
  return (
    Object.keys(selector ?? {}).length === 0 ||
    all.length === 0 ||
    all.some(({ targetPort }) => typeof targetPort === 'string')
  );
}

function portsIn({ spec }: Service): AcceptedService['ports'] {
  return (spec.ports ?? []).map(({ name = '', protocol = 'TCP', port, targetPort }) => ({
    name,
    protocol,
    port,
    ...(targetPort === undefined ? {} : { targetPort }),
  }));
}

/** Whether a Service has the ports that are remembered of it. */
export function samePorts(before: AcceptedService | undefined, service: Service | undefined): boolean {
  return (
    before !== undefined &&
    service !== undefined &&
    JSON.stringify(before.ports) === JSON.stringify(portsIn(service))
  );
}

export function goneSince(service: AcceptedService, now: number): AcceptedService {
  return service.gone === undefined
    ? { ...service, gone: { until: now + DEPARTED_MS, slices: keepSlices(slicesOf.get(service) ?? []) } }
    : service;
}
