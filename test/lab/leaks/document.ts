import type { Outcome } from './table.ts';

const HEAD = `# The leak table

Written by \`make leaks\`: three nodes with real charon, real kernel policies and ESP, and a capture on the wire between them. In every row streams with
recognisable payload run (UDP, UDP of 3,000 bytes, TCP, ICMP echo, and TCP the other way, some 25 messages a second) while the event is provoked.
Before its three nodes have an agent, all of these streams must be seen in the clear by the same two counts, of payload and of ports; else no row runs on them.

- **clear**: packets on the wire with protected payload anywhere in them, or between protected ports.
- **control**: packets of a stream that no policy names, seen in the clear in the same row by the same capture.
- **lost**: messages that were never answered. **gap**: the longest time without an answer to the UDP stream, which sends every 100 ms.
- **recovered**: from the end of the event until every stream was answered.
`;

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;

/** docs/leaks.md. */
export function renderLeaks(
  outcomes: readonly Outcome[],
  mutations: readonly MutationOutcome[],
  where: string,
): string {
  const rows = outcomes.map(({ id, title, clear, control, sent, lost, gapMs, recoveryMs, remark, ok }) => [
    id,
    title,
    String(clear),
    String(control),
    `${lost} of ${sent}`,
    seconds(gapMs),
    seconds(recoveryMs),
    ok ? remark : `**FAILED** ${remark}`,
  ]);
  const table = markdownTable([
    ['row', 'event', 'clear', 'control', 'lost', 'gap', 'recovered', ''],
    ...rows,
  ]);
  return [HEAD, `Taken on ${where}.`, '', ...table, '', ...mutationSection(mutations)].join('\n');
}

/** A mechanism switched off, and what its row said then. */
export interface MutationOutcome {
  readonly mechanism: string;
  readonly row: string;
  readonly caught: boolean;
  readonly said: string;
}

function mutationSection(mutations: readonly MutationOutcome[]): string[] {
  if (mutations.length === 0) {
    return [];
  }
  return [
    '## Mechanisms switched off',
    '',
    '`make leaks MUTATE=all`: each mechanism is taken out of the code, and its row must fail of what the mechanism prevents.',
    '',
    ...markdownTable([
      ['mechanism', 'row', 'the row then'],
      ...mutations.map(({ mechanism, row, caught, said }) => [
        mechanism,
        row,
        `${caught ? 'fails' : '**does not fail of it**'}: ${said}`,
      ]),
    ]),
    '',
  ];
}

/** Lines of a table, its columns as wide as their widest cell. */
function markdownTable(rows: readonly (readonly string[])[]): string[] {
  const cells = rows.map((row) =>
    row.map((cell) => cell.replaceAll('|', '/').replaceAll(/\s+/g, ' ').trim()),
  );
  const widths = (cells[0] ?? []).map((_, column) =>
    Math.max(3, ...cells.map((row) => row[column]?.length ?? 0)),
  );
  const line = (row: readonly string[], fill: string): string =>
    `| ${widths.map((width, column) => (row[column] ?? '').padEnd(width, fill)).join(' | ')} |`;
  const [head = [], ...body] = cells;
  return [line(head, ' '), line([], '-'), ...body.map((row) => line(row, ' '))];
}
