import { CHARON } from './charon.ts';
import { KERNEL } from './kernel.ts';
import type { Mutation } from './mutation.ts';
import { PLAN } from './plan.ts';

export const MUTATIONS: readonly Mutation[] = [...PLAN, ...KERNEL, ...CHARON];

/** `all`, or some of them with commas. */
export function mutationsNamed(which: string): Mutation[] {
  return MUTATIONS.filter(({ name }) => which === 'all' || which.split(',').includes(name));
}
