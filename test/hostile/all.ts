import type { HostileRow } from './row.ts';

/** In the order of docs/hostile.md. */
export const ROWS: readonly HostileRow[] = [];
