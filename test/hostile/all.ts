import type { HostileRow } from './row.ts';
import { FAILING_OPEN } from './rows/failing-open.ts';
import { MEMORY } from './rows/memory.ts';
import { PROCESSES } from './rows/processes.ts';
import { REDIRECTING } from './rows/redirecting.ts';
import { STALLING } from './rows/stalling.ts';

/** In the order of docs/hostile.md. */
export const ROWS: readonly HostileRow[] = [
  ...REDIRECTING,
  ...STALLING,
  ...FAILING_OPEN,
  ...MEMORY,
  ...PROCESSES,
].sort((a, b) => Number.parseInt(a.id, 10) - Number.parseInt(b.id, 10) || (a.id < b.id ? -1 : 1));
