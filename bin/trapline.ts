import { readFileSync, writeSync } from 'node:fs';
import { basename } from 'node:path';
import { startupSnapshot } from 'node:v8';
import { callPlugin } from '../src/cni/plugin.ts';
import { warmUp } from '../src/cni/warm-up.ts';
import { runSync } from '../src/exec/sync.ts';
import { IPAM_NAME } from '../src/ipam/name.ts';
import { callIpam } from '../src/ipam/plugin.ts';
import { messageOf } from '../src/util/message-of.ts';
import { VERSION } from '../src/version.ts';

/**
 * Reads and writes the file descriptors themselves: the stream objects of `process` would cost milliseconds.
 */
async function main(): Promise<void> {
  const call = basename(process.argv0) === IPAM_NAME ? callIpam : callPlugin;
  const { stdout, stderr, exitCode } = await call({
    env: process.env,
    stdin: () => readFileSync(0, 'utf8'),
    run: runSync,
    now: Date.now,
    uptime: () => Number(process.hrtime.bigint()) / 1e6,
    sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    version: VERSION,
  });
  writeAll(1, stdout);
  writeAll(2, stderr);
  process.exit(exitCode);
}

/**
 * Reports an error on stderr, as stdout cannot be written. Uncaught, it would make node print the whole
 * bundle.
 */
function fail(error: unknown): void {
  process.exitCode = 1;
  writeAll(2, `trapline: ${messageOf(error)}\n`);
}

function writeAll(fd: number, text: string): void {
  let rest = Buffer.from(text);
  while (rest.length > 0) {
    rest = rest.subarray(writeSync(fd, rest));
  }
}

if (startupSnapshot.isBuildingSnapshot()) {
  void warmUp().catch(fail);
  startupSnapshot.setDeserializeMainFunction(() => void main().catch(fail));
} else {
  void main().catch(fail);
}
