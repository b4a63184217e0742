import type { Logger } from 'pino';
import { BOUNDS } from '../../cluster/bounds.ts';
import type { ObjectProblem } from '../../cluster/snapshot.ts';
import { printable } from '../../util/printable.ts';

/**
 * Objects of kinds that a cluster administrator writes. Whoever makes many other problems does not hide
 * these.
 */
const FIRST = /^(IPsecPolicy|Node) /;

/**
 * Logs a problem once when it appears and once when it is gone. The function that it returns takes all
 * problems that there are now, and gives back those that are told, as texts, `<object>: <message>`: the first
 * of all, and how many more there are. There are BOUNDS.told.elements of them at most.
 */
export function createProblemLog(log: Logger): (found: readonly ObjectProblem[]) => readonly string[] {
  let logged: ReadonlySet<string> = new Set();
  return (found) => {
    const told = toldOf(found);
    const texts = new Set(told);
    for (const problem of told.filter((text) => !logged.has(text))) {
      log.warn({ problem }, 'not in force as written');
    }
    for (const problem of [...logged].filter((text) => !texts.has(text))) {
      log.info({ problem }, 'no longer a problem');
    }
    logged = texts;
    return told;
  };
}

function toldOf(found: readonly ObjectProblem[]): string[] {
  const urgent = ({ where, message }: ObjectProblem): boolean => FIRST.test(where) || FIRST.test(message);
  const ordered =
    found.length <= BOUNDS.told.elements
      ? found
      : [...found.filter(urgent), ...found.filter((problem) => !urgent(problem))];
  const most = found.length <= BOUNDS.told.elements ? BOUNDS.told.elements : BOUNDS.told.elements - 1;
  const texts = ordered
    .slice(0, most)
    .map(({ where, message }) => printable(`${where}: ${message}`, BOUNDS.charactersPerProblem));
  const more = found.length - texts.length;
  return more === 0 ? texts : [...texts, `${more} more objects are not in force as written`];
}
