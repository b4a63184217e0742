import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { netnsTest } from '../helpers/netns/netns-test.ts';
import { item, node, policy, service } from '../helpers/unit/objects.ts';
import { until } from '../helpers/unit/until.ts';

const AGENT = join(import.meta.dirname, '../../bin/trapline-agent.ts');

netnsTest('an agent that is told to end while it watches nftables ends in order', async (t, { path }) => {
  const folder = mkdtempSync(join(tmpdir(), 'trapline-end-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const [objects, runDir] = [join(folder, 'objects'), join(folder, 'run')];
  mkdirSync(objects);
  for (const [name, object] of Object.entries({
    a: node('a'),
    b: node('b'),
    service: service('web', [{ port: 80 }]),
    policy: policy('p', item('web', 'tcp/80')),
  })) {
    writeFileSync(join(objects, `${name}.json`), JSON.stringify(object));
  }
  const args = [
    '--node-name',
    'a',
    '--source',
    'directory',
    '--source-dir',
    objects,
    '--run-dir',
    runDir,
    '--pki-dir',
    folder,
  ];
  const agent = spawn(
    '/usr/bin/nsenter',
    [`--net=${path}`, '--', process.execPath, '--conditions=source', AGENT, 'run', ...args],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  t.teardown(() => agent.kill('SIGKILL'));
  const log = text(agent.stderr);
  const watches = (): boolean =>
    readFileSync(`/proc/${agent.pid}/task/${agent.pid}/children`, 'utf8')
      .split(' ')
      .filter((pid) => pid !== '')
      .some((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('monitor'));
  await until('the agent watches nftables', watches, 20_000);
  const exit = once(agent, 'exit');
  agent.kill('SIGTERM');
  t.deepEqual(await exit, [0, null]);
  t.regex(await log, /stopped; what is in force stays in force/);
});
