import type { Logger } from 'pino';
import type { ObjectProblem } from '../../cluster/objects.ts';

/** Takes all problems that there are now, logs each once, when it appears and when it is gone, and returns them as texts. */
export function createProblemLog(log: Logger): (found: readonly ObjectProblem[]) => readonly string[] {
  let known: readonly string[] = [];
  return (found) => {
    const texts = found.map(({ where, message }) => `${where}: ${message}`);
    for (const problem of texts.filter((text) => !known.includes(text))) {
      log.warn({ problem }, 'not in force as written');
    }
    for (const problem of known.filter((text) => !texts.includes(text))) {
      log.info({ problem }, 'no longer a problem');
    }
    known = texts;
    return texts;
  };
}
