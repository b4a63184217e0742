import { beSole } from '../../src/agent/sole.ts';

/** A process that is the agent of a run directory until it is killed, or says why it cannot be. */
const [runDir = ''] = process.argv.slice(2);
try {
  await beSole(runDir, `pid ${process.pid}, version worker`);
  process.stdout.write('sole\n');
  setInterval(() => undefined, 1_000);
} catch (error) {
  process.stdout.write(`${(error as Error).message}\n`);
}
