import { runScenario } from './scenario.ts';

/** The cluster tier: the same lab for both scopes. */
const service = await runScenario('service');
const node = await runScenario('node');
process.exitCode = service + node === 0 ? 0 : 1;
