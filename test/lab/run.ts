import { runWithEsp } from './vm/scenario.ts';

/** `node run.js <scenario.js> [--keep] [arguments]` */
const argv = process.argv.slice(2);
if (argv.length === 0) {
  throw new Error('usage: run.js <scenario.js> [--keep] [arguments]');
}
process.exitCode = await runWithEsp({ argv, keep: argv.includes('--keep') });
