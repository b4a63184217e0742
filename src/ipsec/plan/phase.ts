import type { Phase } from './types.ts';

/** In their order. */
export const PHASES = ['accept', 'send', 'require'] as const satisfies readonly Phase[];

/** The furthest of the phases. An absent phase means `require`, as does an empty list. */
export function strongest(phases: readonly (Phase | undefined)[]): Phase {
  const furthest = Math.max(...phases.map((phase) => PHASES.indexOf(phase ?? 'require')));
  return PHASES[furthest] ?? 'require';
}

/** Orders phases, the furthest first. An absent phase means `require`. */
export function compareFurthest(a: Phase | undefined, b: Phase | undefined): number {
  return PHASES.indexOf(b ?? 'require') - PHASES.indexOf(a ?? 'require');
}
