import { existsSync } from 'node:fs';
import { runCli } from '../src/cli/program.ts';
import { run } from '../src/exec/execa.ts';
import { messageOf } from '../src/util/message-of.ts';
import { sleep } from '../src/util/sleep.ts';
import { uptime } from '../src/util/uptime.ts';
import { VERSION } from '../src/version.ts';

const IP = ['/usr/sbin/ip', '/sbin/ip', '/usr/bin/ip', '/bin/ip'].find((path) => existsSync(path));

runCli(process.argv.slice(2), {
  run,
  ip: IP ?? '/usr/sbin/ip',
  now: Date.now,
  uptime,
  sleep,
  stdout: (text) => process.stdout.write(text),
  stderr: (text) => process.stderr.write(text),
  version: VERSION,
}).then(
  (exitCode) => {
    process.exitCode = exitCode;
  },
  (error: unknown) => {
    process.stderr.write(`traplinectl: ${messageOf(error)}\n`);
    process.exitCode = 1;
  },
);
