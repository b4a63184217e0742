import { runScenario } from './scenario.ts';

/** The main job with an API server as the source. */
process.exitCode = await runScenario('service', { source: 'kubernetes' });
