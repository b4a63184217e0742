import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execPath, getuid } from 'node:process';
import test, { type ExecutionContext } from 'ava';
import { beSole, SoleError, soleAgent } from '../../src/agent/sole.ts';
import { agentDir } from '../../src/rundir/paths.ts';
import { until } from '../helpers/unit/until.ts';

/** Deep enough that the path of a socket in it would be too long. */
function folder(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), 'trapline-sole-'));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return join(path, 'x'.repeat(120));
}

async function worker(t: ExecutionContext, runDir: string, ...wrapper: string[]) {
  const script = join(import.meta.dirname, 'sole-worker.ts');
  const [file = execPath, ...args] = [...wrapper, execPath, script, runDir];
  const child: ChildProcess = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => void child.kill('SIGKILL'));
  const [text] = await once(child.stdout ?? child, 'data');
  return { child, said: String(text).trim() };
}

async function kill(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL');
  await once(child, 'exit');
}

test('a second agent is refused, and told who the first is', async (t) => {
  const runDir = folder(t);
  t.is(await soleAgent(runDir), undefined);
  const { child, said } = await worker(t, runDir);
  t.is(said, 'sole');
  t.is(await soleAgent(runDir), `pid ${child.pid}, version worker`);
  await t.throwsAsync(beSole(runDir, 'second'), {
    instanceOf: SoleError,
    message: `another trapline-agent (pid ${child.pid}, version worker) is running with ${runDir}; a node has one`,
  });
  t.is(await soleAgent(runDir), `pid ${child.pid}, version worker`, 'the first goes on');
});

test('an agent that stands still is an agent', async (t) => {
  const runDir = folder(t);
  const { child } = await worker(t, runDir);
  child.kill('SIGSTOP');
  await t.throwsAsync(beSole(runDir, 'second'), { message: /which does not answer/ });
});

test('the place of one that was killed is taken at once, and given up by one that ends', async (t) => {
  const runDir = folder(t);
  const { child } = await worker(t, runDir);
  await kill(child);
  const began = performance.now();
  const release = await beSole(runDir, 'second');
  t.true(performance.now() - began < 1_000);
  t.is(await soleAgent(runDir), 'second');
  release();
  t.is(await soleAgent(runDir), undefined);
  t.false(existsSync(join(agentDir(runDir), 'socket')));
});

test('of many that begin together one is the agent', async (t) => {
  const runDir = folder(t);
  await kill((await worker(t, runDir)).child);
  const all = await Promise.all(Array.from({ length: 4 }, () => worker(t, runDir)));
  t.is(all.filter(({ said }) => said === 'sole').length, 1);
});

test('whatever else is in the place of the socket does not block', async (t) => {
  const runDir = folder(t);
  mkdirSync(agentDir(runDir), { recursive: true });
  writeFileSync(join(agentDir(runDir), 'socket'), '');
  const release = await beSole(runDir, 'me');
  t.is(await soleAgent(runDir), 'me');
  release();
});

const UNSHARE = '/usr/bin/unshare';
(getuid?.() === 0 && existsSync(UNSHARE) ? test : test.skip)(
  'an agent in another pid namespace is seen while it lives, and not any more when it was killed',
  async (t) => {
    const runDir = folder(t);
    const { child, said } = await worker(t, runDir, UNSHARE, '--pid', '--fork', '--kill-child');
    t.is(said, 'sole');
    await t.throwsAsync(beSole(runDir, 'second'), { message: /\(pid 1, version worker\)/ });
    await kill(child);
    await until('its end', async () => (await soleAgent(runDir)) === undefined, 5_000);
    const release = await beSole(runDir, 'second');
    release();
  },
);
