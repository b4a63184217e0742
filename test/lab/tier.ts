import { charon6Root } from '../helpers/charon/charon6.ts';
import { assetsFolder } from '../helpers/kube/assets.ts';
import { runScenario } from './scenario.ts';

/** The cluster tier: the same lab for both scopes, with charon 6.0, and with an API server as the source. */
const service = await runScenario('service');
const node = await runScenario('node');
const six = charon6Root();
if ('why' in six) {
  process.stdout.write(`SKIPPED: the lab with charon 6.0: ${six.why}\n`);
}
const charon6 = 'why' in six ? 0 : await runScenario('service', { charonRoot: six.root, ownRoutes: true });
const assets = assetsFolder();
if ('why' in assets) {
  process.stdout.write(`SKIPPED: the lab with an API server: ${assets.why}\n`);
}
const kubernetes = 'why' in assets ? 0 : await runScenario('service', { source: 'kubernetes' });
process.exitCode = service + node + charon6 + kubernetes === 0 ? 0 : 1;
