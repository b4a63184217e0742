import { readFileSync } from 'node:fs';
import { createNetworkKeeper } from '../../../src/agent/host/network.ts';
import { run } from '../../../src/exec/execa.ts';
import { runStream } from '../../../src/exec/stream.ts';
import { createWake } from '../../../src/util/wake.ts';
import { seedCache } from '../unit/cache.ts';
import { IP } from './netns.ts';

/**
 * Keeps the hairpin in the network namespace that it is started in as a running agent would, until its stdin ends: `<runDir>
 * <nft> <pod CIDR>...`. Each line of stdout is what went wrong (`problem ...`), that it is in step again (`in step`), a warning
 * (`warn ...`), or at the end the CPU that it and its children took since the first look (`cpu <ms> <ms>`).
 */
const [runDir = '', nft = '', ...podCidrs] = process.argv.slice(2);
const say = (line: string): void => void process.stdout.write(`${line}\n`);
const stop = new AbortController();
process.stdin.on('end', () => stop.abort()).resume();

const [peer] = seedCache().peers;
const cache = { ...seedCache(), peers: peer === undefined ? [] : [{ ...peer, podCidrs }] };
const keeper = createNetworkKeeper({
  runDir,
  iproute2: { run, stream: runStream, ip: IP },
  nft,
  sysctlRoot: '/proc/sys',
  routes: false,
  hashThresholds: false,
  log: { warn: ({ problem }, message) => say(`warn ${message}: ${problem}`) },
});
await keeper.begin(null);
const wake = createWake();
const watching = keeper.watch(wake.notify, stop.signal);
wake.notify();
/** CPU of this process, and of children that have ended; milliseconds. */
function cpu(): [number, number] {
  const { user, system } = process.cpuUsage();
  const fields = readFileSync('/proc/self/stat', 'utf8').split(') ')[1]?.split(' ') ?? [];
  const [cutime = 0, cstime = 0] = fields.slice(13, 15).map(Number);
  return [Math.round((user + system) / 1_000), 10 * (cutime + cstime)];
}

let start = cpu();
let last: string | undefined;
while (!stop.signal.aborted) {
  await wake.wait(last === '' ? 30_000 : 2_000, stop.signal);
  const problem = await keeper.keep(cache).then(
    () => '',
    (error) => String(error),
  );
  if (problem !== last) {
    say(problem === '' ? 'in step' : `problem ${problem}`);
    start = last === undefined ? cpu() : start;
    last = problem;
  }
}
await watching;
say(`cpu ${cpu()[0] - start[0]} ${cpu()[1] - start[1]}`);
