import type { Phase } from './types.ts';

const ORDER: readonly Phase[] = ['accept', 'send', 'require'];

/** The phase that is furthest; one that is not told is `require`. */
export function strongest(phases: readonly (Phase | undefined)[]): Phase {
  const furthest = Math.max(...phases.map((phase) => ORDER.indexOf(phase ?? 'require')));
  return ORDER[furthest] ?? 'require';
}
