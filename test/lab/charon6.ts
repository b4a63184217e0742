import { charon6Root } from '../helpers/charon/charon6.ts';
import { runScenario } from './scenario.ts';

/** The main job with Debian 13's charon. */
const six = charon6Root();
if ('why' in six) {
  throw new Error(six.why);
}
process.exitCode = await runScenario('service', { charonRoot: six.root, ownRoutes: true });
