import { spawn } from 'node:child_process';
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { IP, type Namespace } from '../netns/netns.ts';
import { ROOT } from '../unit/root.ts';
import { ENTER_ROOT } from './charon6.ts';

export const CHARON = '/usr/lib/ipsec/charon';

/** A real charon in a namespace, with a /run of its own that is `dir` outside. */
export interface CharonProcess {
  /** `<dir>/charon.vici`, reachable from outside. */
  readonly socket: string;
  readonly pid: number;
  readonly log: () => string;
  /** SIGTERM by default; resolves when it is gone. */
  readonly stop: (signal?: NodeJS.Signals) => Promise<void>;
}

export interface CharonOptions {
  /** Settings that go after the shipped ones. */
  readonly settings?: string;
  /** Where another charon is installed. */
  readonly root?: string;
  /** The only capabilities that it has, as in a container: `net_admin`. By default all of them. */
  readonly capabilities?: readonly string[];
}

const START_MS = 30_000;

/** The network namespace is entered first, then a mount namespace made, in which `dir` becomes /run. */
const SCRIPT = 'mount --bind "$1" /run; shift; exec "$@"';
const SCRIPT_IN_ROOT = `mount --bind "$2" /run; ${ENTER_ROOT}; exec chroot "$1" "$3"`;

/** @throws Error with charon's log if its socket does not answer */
export async function startCharon(namespace: Namespace, options: CharonOptions = {}): Promise<CharonProcess> {
  const dir = mkdtempSync(join(tmpdir(), 'charon-'));
  const conf = join(dir, 'strongswan.conf');
  const shipped = join(ROOT, 'conf/strongswan/strongswan.conf');
  // Another root has no other file of ours than what is in /run.
  const { root } = options;
  const included = root === undefined ? `include ${shipped}` : readFileSync(shipped, 'utf8');
  writeFileSync(conf, `${included}\n${options.settings ?? ''}\n`);
  const logPath = join(dir, 'log');
  const log = (): string => readFileSync(logPath, 'utf8');
  const args = ['netns', 'exec', namespace.name, 'unshare', '--mount', '--propagation', 'private'];
  const fd = openSync(logPath, 'w');
  const script =
    root === undefined
      ? [SCRIPT, 'sh', dir, ...limited(options.capabilities), CHARON]
      : [SCRIPT_IN_ROOT, 'sh', root, dir, CHARON];
  const child = spawn(IP, [...args, 'sh', '-ec', ...script], {
    stdio: ['ignore', fd, fd],
    env: {
      PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
      LC_ALL: 'C',
      STRONGSWAN_CONF: root === undefined ? conf : '/run/strongswan.conf',
    },
  });
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const socket = join(dir, 'charon.vici');
  const stop = async (signal: NodeJS.Signals = 'SIGTERM'): Promise<void> => {
    child.kill(signal);
    await gone;
    rmSync(dir, { recursive: true, force: true });
  };
  const deadline = Date.now() + START_MS;
  while (!(await answers(socket))) {
    if (Date.now() > deadline || child.exitCode !== null) {
      const text = log();
      await stop('SIGKILL');
      throw new Error(`charon did not start:\n${text}`);
    }
    await sleep(50);
  }
  return { socket, pid: child.pid ?? 0, log, stop };
}

/** The command that takes all other capabilities away, and the ways to get them back. */
function limited(capabilities: readonly string[] | undefined): string[] {
  return capabilities === undefined
    ? []
    : [
        'setpriv',
        '--no-new-privs',
        `--bounding-set=-all,${capabilities.map((one) => `+${one}`).join()}`,
        '--',
      ];
}

/** charon binds its socket a moment before it listens on it. */
async function answers(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = createConnection({ path });
  socket.once('connect', () => resolve(true));
  socket.once('error', () => resolve(false));
  const connected = await promise;
  socket.destroy();
  return connected;
}
