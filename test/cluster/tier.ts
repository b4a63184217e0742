import { assetsFolder } from '../helpers/kube-assets.ts';
import { runScenario } from './scenario.ts';

/** The cluster tier: the same lab for both scopes, and with an API server as the source. */
const service = await runScenario('service');
const node = await runScenario('node');
const assets = assetsFolder();
if ('why' in assets) {
  process.stdout.write(`SKIPPED: the lab with an API server: ${assets.why}\n`);
}
const kubernetes = 'why' in assets ? 0 : await runScenario('service', { source: 'kubernetes' });
process.exitCode = service + node + kubernetes === 0 ? 0 : 1;
