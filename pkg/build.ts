import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { bundle, withoutUnused } from './bundle.ts';

/**
 * Builds the executables into pkg/dist, without network. The base is stock Node of the version that the
 * project pins.
 */

const ROOT = join(import.meta.dirname, '..');
const DIST = join(ROOT, 'pkg/dist');

interface Executable {
  readonly name: string;
  /** Source file, relative to the repository's root. */
  readonly entry: string;
  /** Starts from a V8 start-up snapshot: for the process that the runtime starts for every pod. */
  readonly snapshot: boolean;
  /** Built only when it is asked for by name. */
  readonly onDemand?: true;
}

const EXECUTABLES: readonly Executable[] = [
  { name: 'trapline', entry: 'bin/trapline.ts', snapshot: true },
  { name: 'trapline-agent', entry: 'bin/trapline-agent.ts', snapshot: false },
  { name: 'traplinectl', entry: 'bin/traplinectl.ts', snapshot: false },
  { name: 'bench-floor', entry: 'test/bench/floor.ts', snapshot: true, onDemand: true },
];

/** `none`: NODE_OPTIONS and the like are ignored, since the executables run as root. */
const COMMON = { disableExperimentalSEAWarning: true, execArgvExtension: 'none' };

/**
 * Chosen by measuring, for a process of some 30 ms: no second thread pool, and no compiler beyond the
 * interpreter. `--no-rehash-snapshot` keeps V8's hash seed as it was at build time. That is fine for a short
 * process whose input is local and comes from root.
 */
const SHORT_LIVED = {
  useSnapshot: true,
  execArgv: ['--no-rehash-snapshot', '--v8-pool-size=0', '--no-opt', '--no-maglev', '--no-sparkplug'],
};

/**
 * For a process that stays, a smaller heap is worth more than a faster one: at 10,000 services these options
 * halve the agent's memory.
 *
 * Garbage is collected when the heap has grown by a quarter: this saves 20 MiB among 1,000 nodes, and costs
 * no CPU that can be measured. The memory reducer would collect everything twice more whenever nothing
 * happens for a few seconds: it would save 7 MiB, and cost a twentieth more CPU. One worker compiles: 125 to
 * 141 MiB in four runs; with four workers, 132 to 152 MiB in three.
 */
const LONG_LIVED = {
  execArgv: [
    '--max-semi-space-size=1',
    '--optimize-for-size',
    '--heap-growing-percent=25',
    '--single-threaded-gc',
    '--no-memory-reducer',
    '--v8-pool-size=1',
  ],
};

interface Sea {
  default(
    entry: string,
    options: {
      targets: { nodeRange: string; platform: string; arch: string; output: string }[];
      nodePath: string;
      signature: boolean;
      seaConfig: object;
    },
  ): Promise<void>;
}

/** The command line of pkg forwards neither `seaConfig` nor `nodePath`; its module does. */
const sea = createRequire(import.meta.url)('@yao-pkg/pkg/lib-es5/sea.js') as Sea;

async function make({ name, entry: source, snapshot }: Executable, folder: string): Promise<void> {
  const entry = join(folder, `${name}.cjs`);
  const output = join(folder, name);
  await bundle(join(ROOT, source), entry, [withoutUnused('@kubernetes/client-node')]);
  await sea.default(entry, {
    targets: [{ nodeRange: 'node24', platform: 'linux', arch: process.arch, output }],
    nodePath: process.execPath,
    signature: false,
    seaConfig: { ...COMMON, ...(snapshot ? SHORT_LIVED : LONG_LIVED) },
  });
  await rename(output, join(DIST, name));
}

const only = process.argv.slice(2);
await mkdir(DIST, { recursive: true });
const folder = await mkdtemp(join(DIST, '.build-'));
try {
  for (const executable of EXECUTABLES.filter(({ name, onDemand }) =>
    only.length === 0 ? onDemand === undefined : only.includes(name),
  )) {
    await make(executable, folder);
    console.log(`pkg/dist/${executable.name}`);
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}
