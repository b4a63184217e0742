import { BAD_CONFIG } from './config.ts';
import { BAD_ENVIRONMENT } from './environment.ts';
import { BAD_RESULTS } from './prev-result.ts';
import type { BadInput } from './types.ts';

/** Calls that must be refused: by the function in tier unit, by the executable in tier netns. */
export const BAD_INPUT: readonly BadInput[] = [...BAD_ENVIRONMENT, ...BAD_CONFIG, ...BAD_RESULTS];
