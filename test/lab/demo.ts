import { runScenario } from './scenario.ts';

/** `make demo`: the main job on three nodes, with a verdict per step. Ends even if nodes are left up. */
process.exit(await runScenario('service', { keep: process.argv.includes('--keep') }));
