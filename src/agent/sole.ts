import { chmodSync, closeSync, constants, existsSync, mkdirSync, openSync, rmSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { withLock } from '../rundir/lock/lock.ts';
import { agentDir } from '../rundir/paths.ts';
import { clip } from '../util/clip.ts';
import { sleep } from '../util/sleep.ts';
import { LOCK } from './kernel/node-kernel.ts';

/** Another agent is running with this run directory. */
export class SoleError extends Error {
  override readonly name = 'SoleError';
}

/** How long an agent that lives may take to say who it is. */
const ANSWER_MS = 2_000;
const ANSWER_LENGTH = 200;
const SILENT = 'which does not answer';
/** How often one that hangs up without a word is asked, and after which pause. */
const TURNS = 5;
const AGAIN_MS = 50;

/**
 * Makes this process the one agent of a run directory, until the function that it returns is called or the
 * process ends, in whatever way. Throws SoleError, with what the other one says of itself, if there is one.
 *
 * The agent listens on a socket in the run directory. The kernel refuses connections to it once nobody
 * listens any more: that tells a live agent from a dead one, whatever pid namespace it is or was in, and at
 * once. Two that begin together take turns by a lock, which is not the node's: nobody holds it for long.
 */
export async function beSole(runDir: string, who: string): Promise<() => void> {
  const folder = agentDir(runDir);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const fd = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    const path = pathBy(fd);
    const server = await withLock(folder, LOCK, async () => {
      const other = await askWho(path);
      if (other !== undefined) {
        throw new SoleError(`another trapline-agent (${other}) is running with ${runDir}; a node has one`);
      }
      rmSync(path, { force: true });
      return await listen(path, who);
    });
    return () => {
      server.close();
      closeSync(fd);
    };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** What the agent that runs with a run directory says of itself; undefined if there is none. */
export async function soleAgent(runDir: string): Promise<string | undefined> {
  const folder = agentDir(runDir);
  if (!existsSync(folder)) {
    return undefined;
  }
  const fd = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    return await askWho(pathBy(fd));
  } finally {
    closeSync(fd);
  }
}

/** The path of a socket has 107 characters at most: by way of the folder's descriptor it is short. */
function pathBy(folder: number): string {
  return `/proc/self/fd/${folder}/socket`;
}

async function listen(path: string, who: string): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.end(who);
  });
  server.maxConnections = 16;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  chmodSync(path, 0o600);
  server.on('error', () => undefined);
  return server.unref();
}

/**
 * What the process that listens says; undefined if nobody does. One that says nothing lives all the same; one
 * that hangs up without a word may be ending right now, so it is asked again.
 */
async function askWho(path: string): Promise<string | undefined> {
  for (let turn = 1; turn < TURNS; turn += 1) {
    const said = await ask(path);
    if (said !== '') {
      return said;
    }
    await sleep(AGAIN_MS);
  }
  return (await ask(path)) || SILENT;
}

/** Empty if the process that listens hangs up without a word. */
async function ask(path: string): Promise<string | undefined> {
  return await new Promise((resolve, reject) => {
    const socket = connect(path);
    let said = '';
    const answer = (text: string | undefined): void => {
      socket.destroy();
      resolve(text);
    };
    socket.setEncoding('utf8').setTimeout(ANSWER_MS, () => answer(said || SILENT));
    socket.on('data', (text: string) => {
      said = clip(said + text, ANSWER_LENGTH);
    });
    socket.on('end', () => answer(said));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') {
        answer(undefined);
      } else if (error.code === 'EAGAIN') {
        answer(SILENT);
      } else if (error.code === 'ECONNRESET' || error.code === 'EPIPE') {
        answer(said);
      } else {
        reject(error);
      }
    });
  });
}
