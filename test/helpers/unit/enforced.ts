import type { Enforced } from '../../../src/agent/kernel/enforce.ts';

/** What a comparison finds that finds nothing. */
export const IN_STEP: Enforced = {
  planned: 0,
  added: 0,
  updated: 0,
  deleted: 0,
  conflicts: [],
  refused: [],
  compared: true,
  byPlugin: 0,
};
