import type { Reflector } from '../../../kube/reflector.ts';
import type { ClusterObjects, ObjectNames } from '../../snapshot.ts';

type List = keyof ClusterObjects;

/** Names of objects by list, for lists that have any. */
export function namesOf<T>(
  followed: readonly { readonly list: List; readonly reflector: Reflector<T> }[],
  of: (reflector: Reflector<T>) => Iterable<string>,
): ObjectNames {
  const names = new Map<List, Set<string>>();
  for (const { list, reflector } of followed) {
    for (const key of of(reflector)) {
      names.set(list, (names.get(list) ?? new Set()).add(key.replace(/^\//, '')));
    }
  }
  return Object.fromEntries(names);
}
