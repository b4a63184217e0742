import type { Outcome } from '../table.ts';

interface Edit {
  /** Below the repository; code is compiled. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** A mechanism that is taken out of the code, and the row that must fail then. */
export interface Mutation {
  readonly name: string;
  readonly mechanism: string;
  readonly row: string;
  /** What that row must fail of: packets in the clear, messages lost in a row that may lose none, or what it says itself. */
  readonly fails: 'clear' | 'lost' | RegExp;
  readonly edits: readonly Edit[];
}

export const SRC = 'build/src';
export const CONF = 'conf/strongswan/strongswan.conf';

/** Whether the row has failed of what the mechanism prevents: a tool's error, or nodes that cannot be set up, say nothing of it. */
export function isCaught({ fails }: Pick<Mutation, 'fails'>, outcome: Outcome): boolean {
  if (fails === 'clear') {
    return outcome.clear > 0;
  }
  if (fails === 'lost') {
    return !outcome.ok && outcome.lost > 0;
  }
  return !outcome.ok && fails.test(outcome.remark);
}
