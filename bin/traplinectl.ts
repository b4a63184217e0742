import { existsSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { runCli } from '../src/cli/program.ts';
import { run } from '../src/exec/execa.ts';
import { VERSION } from '../src/version.ts';

const IP = ['/usr/sbin/ip', '/sbin/ip', '/usr/bin/ip', '/bin/ip'].find((path) => existsSync(path));

runCli(process.argv.slice(2), {
  run,
  ip: IP ?? '/usr/sbin/ip',
  now: Date.now,
  sleep: (ms) => setTimeout(ms),
  stdout: (text) => process.stdout.write(text),
  stderr: (text) => process.stderr.write(text),
  version: VERSION,
}).then(
  (exitCode) => {
    process.exitCode = exitCode;
  },
  (error: unknown) => {
    process.stderr.write(`traplinectl: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  },
);
