import { readFileSync, writeSync } from 'node:fs';
import { startupSnapshot } from 'node:v8';
import { callPlugin } from '../src/cni/plugin.ts';
import { warmUp } from '../src/cni/warm-up.ts';
import { runSync } from '../src/run/sync.ts';
import { VERSION } from '../src/version.ts';

/** The stream objects of `process` would cost milliseconds: file descriptors are read and written as they are. */
async function main(): Promise<void> {
  const { stdout, stderr, exitCode } = await callPlugin({
    env: process.env,
    stdin: () => readFileSync(0, 'utf8'),
    run: runSync,
    now: Date.now,
    sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    version: VERSION,
  });
  writeAll(1, stdout);
  writeAll(2, stderr);
  process.exit(exitCode);
}

function writeAll(fd: number, text: string): void {
  let rest = Buffer.from(text);
  while (rest.length > 0) {
    rest = rest.subarray(writeSync(fd, rest));
  }
}

if (startupSnapshot.isBuildingSnapshot()) {
  warmUp();
  startupSnapshot.setDeserializeMainFunction(() => void main());
} else {
  void main();
}
