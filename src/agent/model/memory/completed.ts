import { BOUNDS } from '../../../cluster/bounds.ts';
import type { Service } from '../../../cluster/objects.ts';
import type { AcceptedService } from '../../../rundir/accepted.ts';
import { memoized } from '../../../util/memo.ts';
import type { KnownServices } from './known-services.ts';

/**
 * Services with the ports that they had, where what could be read of them is not all: a port that is left out
 * has not been withdrawn. The readable ones come first, and there is a bound to the others.
 */
export const completed = memoized(
  (services: readonly Service[], known: KnownServices, unread: ReadonlySet<string>): readonly Service[] => {
    const all = services.map((service) => {
      const { namespace = 'default', name } = service.metadata;
      const key = `${namespace}/${name}`;
      const before = unread.has(key) ? known.get(key) : undefined;
      return before === undefined ? service : withPorts(service, before);
    });
    return steadyList(...all);
  },
);
/** The same array for the same elements. */
const steadyList = memoized((...all: readonly Service[]) => all);

const madeOf = new WeakMap<Service, { readonly before: AcceptedService['ports']; readonly made: Service }>();

function withPorts(service: Service, { ports: before }: AcceptedService): Service {
  const last = madeOf.get(service);
  if (last?.before === before) {
    return last.made;
  }
  const own = service.spec.ports ?? [];
  const there = new Set(own.map(({ name = '', protocol = 'TCP' }) => `${protocol}/${name}`));
  const lacking = before.filter(({ name, protocol }) => !there.has(`${protocol}/${name}`));
  const ports = [...own, ...lacking.slice(0, BOUNDS.portsPerObject)];
  const made = lacking.length === 0 ? service : { ...service, spec: { ...service.spec, ports } };
  madeOf.set(service, { before, made });
  return made;
}
