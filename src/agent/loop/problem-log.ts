import type { Logger } from 'pino';
import type { ObjectProblem } from '../../cluster/objects.ts';

/**
 * Logs a problem once when it appears and once when it is gone. The function that it returns takes all
 * problems that there are now, and gives them back as texts, `<object>: <message>`.
 */
export function createProblemLog(log: Logger): (found: readonly ObjectProblem[]) => readonly string[] {
  let logged: readonly string[] = [];
  return (found) => {
    const texts = found.map(({ where, message }) => `${where}: ${message}`);
    for (const problem of texts.filter((text) => !logged.includes(text))) {
      log.warn({ problem }, 'not in force as written');
    }
    for (const problem of logged.filter((text) => !texts.includes(text))) {
      log.info({ problem }, 'no longer a problem');
    }
    logged = texts;
    return texts;
  };
}
