import type { Reflector } from '../../../kube/reflector.ts';
import type { ClusterObjects } from '../../snapshot.ts';
import type { ParsedObject } from '../parse-object.ts';

type List = keyof ClusterObjects;

interface Followed {
  readonly list: List;
  readonly reflector: Reflector<ParsedObject>;
}

/**
 * Hands out each list as the same array for as long as none of its objects has changed: what is computed from
 * a list is remembered by the array's identity.
 */
export function createLister(): <L extends List>(
  list: L,
  followed: readonly Followed[],
) => NonNullable<ClusterObjects[L]> {
  const lists = new Map<List, { readonly key: string; readonly objects: readonly object[] }>();
  const numbers = new WeakMap<Followed, number>();
  let last = 0;
  const numberOf = (one: Followed): number => {
    const number = numbers.get(one) ?? ++last;
    numbers.set(one, number);
    return number;
  };
  return <L extends List>(list: L, all: readonly Followed[]) => {
    const followed = all.filter((one) => one.list === list);
    const key = followed.map((one) => `${numberOf(one)}/${one.reflector.version}`).join(' ');
    const before = lists.get(list);
    const objects =
      before?.key === key
        ? before.objects
        : [...new Map(followed.flatMap(({ reflector }) => [...reflector.items]))]
            .sort(([a], [b]) => (a < b ? -1 : 1))
            .map(([, { object }]) => object);
    lists.set(list, { key, objects });
    return objects as unknown as NonNullable<ClusterObjects[L]>;
  };
}
