import type { NodeCacheContent } from '../../../rundir/schema.ts';
import type { Memory } from './accepted.ts';

/** When the first of all limits ends; infinity if there is none. */
export function nextEnd(
  { departed = [], node }: Pick<NodeCacheContent, 'departed' | 'node'>,
  { services, reached }: Pick<Memory, 'services' | 'reached'>,
): number {
  const ends = [
    ...departed.map(({ until }) => until),
    ...(node.formerCidrs ?? []).map(({ until }) => until),
    ...[...services.values()].flatMap(({ gone }) =>
      gone === undefined || gone.until === 0 ? [] : [gone.until],
    ),
    ...[...reached.values()].flatMap(({ until }) => (until === undefined ? [] : [until])),
  ];
  return ends.reduce((first, end) => Math.min(first, end), Number.POSITIVE_INFINITY);
}
