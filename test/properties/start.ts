import type { createModeller as createModellerOf } from '../../src/agent/model/modeller.ts';
import type { Start } from './lives.ts';

/** Starts the model of an agent as the agent does, with what another has left behind. */
export function startWith(createModeller: typeof createModellerOf): Start {
  return ({ nodeName, options, cache, now }) => {
    const modeller = withClock(now, () =>
      createModeller({ ...options, nodeName, phaseLimitS: 60 }, cache !== null),
    );
    let before = cache;
    return (snapshot) => {
      const { content } = withClock(now, () => modeller(snapshot, before));
      before = { schema: 1, generation: 1, writtenAt: 0, ...content };
      return content;
    };
  };
}

/** The modeller takes its time from Date.now. */
function withClock<T>(now: () => number, run: () => T): T {
  const real = Date.now;
  Date.now = now;
  try {
    return run();
  } finally {
    Date.now = real;
  }
}
