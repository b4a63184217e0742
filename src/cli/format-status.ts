import type { Status } from './status.ts';
import { formatTable } from './table.ts';

/** How many keys of each difference are shown; `-o json` shows all. */
const SHOWN = 10;

/** `traplinectl status` as text. */
export function formatStatus(status: Status): string {
  const rows = status.parts.map(({ name, facts, problem }) => [
    problem === '' ? 'ok' : 'BAD',
    name,
    problem === '' ? facts : `${facts}: ${problem}`,
  ]);
  const verdict = `node ${status.node ?? '(unknown)'}: ${status.healthy ? 'healthy' : 'NOT HEALTHY'}\n`;
  return `${verdict}${formatTable(rows)}${differences(status)}`;
}

function differences({ comparison }: Status): string {
  if (comparison.kind === 'unknown') {
    return '';
  }
  const { missing, different, surplus, conflicts } = comparison;
  const groups = { missing, different, 'not planned': surplus, 'place taken by another': conflicts };
  return Object.entries(groups)
    .filter(([, keys]) => keys.length > 0)
    .map(([what, keys]) => {
      const more = keys.length > SHOWN ? `  and ${keys.length - SHOWN} more\n` : '';
      return `${what}:\n${keys
        .slice(0, SHOWN)
        .map((key) => `  ${key}\n`)
        .join('')}${more}`;
    })
    .join('');
}
