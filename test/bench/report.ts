import type { Timings } from './rounds.ts';
import { median, medianRatio } from './statistics.ts';

export interface Row {
  readonly what: string;
  /** Median, ms (MiB of memory, thousand packets a second of forwarding). */
  readonly median: number;
  /** What it is measured against, in the same rounds. */
  readonly against?: string;
  readonly ratio?: number;
  /** The most that the ratio (the median, without one) should be. */
  readonly target?: number;
  /** The least that the ratio should be. */
  readonly least?: number;
}

/** Calls in a table of many policies, against the same ones in a table that has none of them. */
export function crowdedRows(crowded: Timings, small: Timings): Row[] {
  return [...crowded].map(([what, ours]) => {
    const against = what.replace(/, among .*/, '');
    const [value, base] = [median(ours), median(small.get(against) ?? [])];
    return { what, median: value, against, ratio: value / base };
  });
}

/** What issues ask of it: no target is asserted, machines differ; a miss is said. */
export function rowsOf(small: Timings, bursts: Timings, scale: Timings): Row[] {
  const row = (timings: Timings, what: string, against?: string, target?: number): Row => {
    const ours = timings.get(what) ?? [];
    return {
      what,
      median: median(ours),
      ...(against === undefined ? {} : { against, ratio: medianRatio(ours, timings.get(against) ?? []) }),
      ...(target === undefined ? {} : { target }),
    };
  };
  const atScale = (what: string, batch: string, fixed: string): Row => {
    const bound = (scale.get(batch) ?? []).map(
      (ms, round) => 1.5 * ms + (scale.get(fixed)?.[round] ?? Number.NaN),
    );
    const ours = scale.get(what) ?? [];
    return {
      what,
      median: median(ours),
      against: `1.5 x ${batch} + ${fixed}`,
      ratio: medianRatio(ours, bound),
      target: 1,
    };
  };
  return [
    row(small, '/bin/true'),
    row(small, 'empty executable', 'portmap ADD'),
    row(small, 'tuning ADD', 'portmap ADD'),
    row(small, 'portmap ADD'),
    row(small, 'portmap DEL', 'portmap ADD'),
    row(small, 'ADD, unprotected', 'portmap ADD', 1),
    row(small, 'ADD, protected', 'portmap ADD', 1.2),
    row(small, 'DEL, unprotected', 'portmap DEL', 0.5),
    row(small, 'DEL, protected', 'portmap DEL', 0.5),
    row(small, 'STATUS', 'portmap ADD', 0.9),
    row(small, 'host-local ADD'),
    row(small, 'trapline-ipam ADD', 'host-local ADD'),
    row(small, 'trapline-ipam DEL', 'host-local DEL'),
    row(bursts, '30 tuning ADDs at once'),
    row(bursts, '30 empty executables at once', '30 tuning ADDs at once'),
    row(bursts, '30 ADDs at once, protected', '30 tuning ADDs at once', 12),
    row(scale, 'ip -batch add, 1,000 peers'),
    row(scale, 'ip -batch delete, 1,000 peers'),
    atScale('ADD, 1,000 peers', 'ip -batch add, 1,000 peers', 'ADD, protected'),
    atScale('DEL, 1,000 peers', 'ip -batch delete, 1,000 peers', 'DEL, protected'),
  ];
}

export function verdict({ median: value, ratio, target, least }: Row): string {
  if (least !== undefined) {
    return (ratio ?? 0) >= least ? 'met' : 'missed';
  }
  return target === undefined ? '' : (ratio ?? value) <= target ? 'met' : 'missed';
}

export function renderMarkdown(rows: readonly Row[], facts: Readonly<Record<string, string>>): string {
  const cells = rows.map((row) => [
    row.what,
    row.median.toFixed(1),
    row.against ?? '',
    row.ratio?.toFixed(2) ?? '',
    row.least === undefined ? (row.target === undefined ? '' : `≤ ${row.target}`) : `≥ ${row.least}`,
    verdict(row),
  ]);
  const table = [['what', 'median', 'against', 'ratio', 'target', ''], ...cells];
  const widths =
    table[0]?.map((_, column) => Math.max(3, ...table.map((line) => line[column]?.length ?? 0))) ?? [];
  const line = (values: readonly string[]): string =>
    `| ${values.map((value, column) => value.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  const rule = `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`;
  const [head = [], ...body] = table.map(line);
  return [
    '# Benchmarks',
    '',
    'Written by `make bench`. Times in ms, memory in MiB, forwarding in thousand packets a second, medians. A ratio is the median of the ratios within each round: rounds are interleaved and',
    'shuffled, and only ratios travel from one machine to another. Times include about a millisecond for starting the process (`/bin/true`).',
    '',
    ...Object.entries(facts).map(([key, value]) => `- ${key}: ${value}`),
    '',
    head,
    rule,
    ...body,
    '',
  ].join('\n');
}
