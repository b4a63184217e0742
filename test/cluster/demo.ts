import { runScenario } from './scenario.ts';

/** `make demo`: the main job on three nodes, with a verdict per step. */
process.exitCode = await runScenario('service');
