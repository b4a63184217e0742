import { type HostileRow, mutationsOf, type Outcome } from './row.ts';

const HEAD = `# What others can send

Written by \`make hostile\`: inputs that a tenant, a kubelet, another node's agent, a local user or a broken object can send, and
what comes of them. Each row runs on the real code, and again on a copy from which the guard that it needs was taken out: then it
must fail, with the words of the last column. Where several guards hold the same, all of them are taken out. docs/trust.md says whose word counts for what.
`;

/** docs/hostile.md. */
export function renderHostile(outcomes: readonly Outcome[]): string {
  const rows = outcomes.map(({ row: { id, title, who, did, now, ...row }, failure, mutated }) => [
    id,
    title,
    who,
    did,
    failure === '' ? now : `**FAILED** ${failure}`,
    `${mutated === '' ? '**NOT CAUGHT** ' : ''}${filesOf(row)}${mutated === '' ? '' : `: ${mutated}`}`,
  ]);
  const table = [['row', 'sent', 'who can', 'did in 0.1.0', 'now', 'without the guard'], ...rows].map(
    (cells) => cells.map(cellOf),
  );
  // As biome formats a table, so that writing it anew changes nothing but words.
  const widths = [0, 1, 2, 3, 4, 5].map((at) => Math.max(...table.map((cells) => cells[at]?.length ?? 0)));
  const line = (cells: readonly string[], fill = ' '): string =>
    `| ${widths.map((width, at) => (cells[at] ?? '').padEnd(width, fill)).join(' | ')} |`;
  const [head = [], ...body] = table;
  return `${[HEAD, line(head), line([], '-'), ...body.map((cells) => line(cells))].join('\n')}\n`;
}

function filesOf(row: Pick<HostileRow, 'mutation'>): string {
  const files = new Set(mutationsOf(row).map(({ file }) => `\`${file}\``));
  return [...files].join(', ');
}

function cellOf(cell: string): string {
  return cell.replaceAll('|', '\\|').replaceAll('\n', ' ');
}
