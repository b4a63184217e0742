import { buildNodeCache } from '../../../src/agent/model/model.ts';
import type { Model, ModelInput } from '../../../src/agent/model/types.ts';
import type { ClusterObjects } from '../../../src/cluster/snapshot.ts';
import { cluster } from './objects.ts';

/** What node `a` makes of a cluster (see `cluster`) that it sees for the first time, unless told otherwise. */
export function build(objects: Partial<ClusterObjects>, input: Partial<ModelInput> = {}): Model {
  return buildNodeCache({
    objects: cluster(objects),
    nodeName: 'a',
    childSaScope: 'service',
    previous: null,
    knownItems: new Map(),
    now: 0,
    ...input,
  });
}

/** Each problem as one line: `<where>: <message>`. */
export function messages({ problems }: Pick<Model, 'problems'>): string[] {
  return problems.map(({ where, message }) => `${where}: ${message}`);
}
