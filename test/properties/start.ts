import type { createModeller as createModellerOf } from '../../src/agent/model/modeller.ts';
import { acceptedSchema } from '../../src/rundir/accepted.ts';
import { type NodeCache, nodeCacheSchema } from '../../src/rundir/schema.ts';
import type { Start } from './lives.ts';

/** Starts the model of an agent as the agent does, with what another has left behind. */
export function startWith(createModeller: typeof createModellerOf): Start {
  return ({ nodeName, options, cache, runDir, now }) => {
    const raw = runDir.get('accepted');
    const modeller = createModeller(
      { ...options, nodeName, phaseLimitS: 60 },
      {
        cache: cache !== null,
        accepted: raw === undefined ? null : acceptedSchema.parse(JSON.parse(raw)),
        keep: (accepted) => {
          runDir.set('accepted', JSON.stringify(accepted));
          return true;
        },
        now,
      },
    );
    // As it is read from node.json.
    let before: NodeCache | null =
      cache === null ? null : nodeCacheSchema.parse(JSON.parse(JSON.stringify(cache)));
    return (snapshot) => {
      const { content } = modeller.model(snapshot, before);
      before = { schema: 1, generation: 1, writtenAt: 0, ...content };
      return content;
    };
  };
}
