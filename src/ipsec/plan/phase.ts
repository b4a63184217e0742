import type { Phase } from './types.ts';

const ORDER: readonly Phase[] = ['accept', 'send', 'require'];

/** The furthest of the phases. An absent phase means `require`, as does an empty list. */
export function strongest(phases: readonly (Phase | undefined)[]): Phase {
  const furthest = Math.max(...phases.map((phase) => ORDER.indexOf(phase ?? 'require')));
  return ORDER[furthest] ?? 'require';
}
