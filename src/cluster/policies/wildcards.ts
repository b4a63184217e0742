import { memoized } from '../../util/memo.ts';
import { BOUNDS } from '../bounds.ts';
import type { Service } from '../objects.ts';
import type { ObjectProblem } from '../snapshot.ts';
import { oldestFirst } from './bounded-slices.ts';
import type { PolicyItem } from './items.ts';

/** The Services of a namespace that an item for all of them covers. */
export function servicesOf(namespace: string, services: readonly Service[]): string[] {
  const all = services.filter(({ metadata }) => (metadata.namespace ?? 'default') === namespace);
  return (all.length > BOUNDS.servicesPerWildcard ? oldestFirst(all) : all)
    .slice(0, BOUNDS.servicesPerWildcard)
    .map(({ metadata }) => metadata.name);
}

const countsOf = memoized((services: readonly Service[]) => {
  const counts = new Map<string, number>();
  for (const { metadata } of services) {
    const namespace = metadata.namespace ?? 'default';
    counts.set(namespace, (counts.get(namespace) ?? 0) + 1);
  }
  return counts;
});

/** What of these items goes beyond the bound. */
export function wildcardProblems(
  items: readonly PolicyItem[],
  services: readonly Service[],
): ObjectProblem[] {
  return items
    .filter(({ service, namespace }) => service === '*' && namespace !== '*')
    .flatMap(({ policy, name, namespace }) => {
      const count = countsOf(services).get(namespace) ?? 0;
      return count <= BOUNDS.servicesPerWildcard
        ? []
        : [
            {
              where: `IPsecPolicy ${policy}`,
              message: `item ${name}: ${count} Services of ${namespace} are too many, only the oldest ${BOUNDS.servicesPerWildcard} are protected`,
            },
          ];
    });
}
