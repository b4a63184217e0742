import { Command } from 'commander';
import { registerPki } from '../src/pki/cli.ts';
import { messageOf } from '../src/util/message-of.ts';
import { VERSION } from '../src/version.ts';
import { registerController } from './agent/controller.ts';
import { registerInstall } from './agent/install.ts';
import { registerRun } from './agent/run.ts';

const program = new Command('trapline-agent').description('the watcher of one node').version(VERSION);
registerRun(program);
registerInstall(program);
registerController(program);
registerPki(program);

program.parseAsync().catch((error: unknown) => {
  process.stderr.write(`trapline-agent: ${messageOf(error)}\n`);
  process.exitCode = 1;
});
