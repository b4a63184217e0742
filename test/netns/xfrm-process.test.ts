import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { runSync } from '../../src/exec/sync.ts';
import type { Run } from '../../src/exec/types.ts';
import { XfrmError } from '../../src/ipsec/xfrm/error.ts';
import { listPolicies, ownPolicies } from '../../src/ipsec/xfrm/kernel.ts';
import type { Operation } from '../../src/ipsec/xfrm/operation.ts';
import { applyOperations } from '../../src/ipsec/xfrm/write/apply.ts';
import { IP, inNamespace } from '../helpers/netns/netns.ts';
import { netnsTest } from '../helpers/netns/netns-test.ts';
import { policy, selector } from '../ipsec/xfrm/policies.ts';

const adds = [1, 2, 3, 4].map(
  (sport): Operation => ({ op: 'add', policy: policy({ selector: selector({ sport }) }) }),
);

/** An `ip` that writes a line for each start, and then is the real one. */
function countingIp(t: ExecutionContext): { ip: string; starts: () => string[] } {
  const folder = mkdtempSync(join(tmpdir(), 'trapline-ip-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const log = join(folder, 'log');
  const ip = join(folder, 'ip');
  writeFileSync(log, '');
  writeFileSync(ip, `#!/bin/sh\necho "$*" >>'${log}'\nexec ${IP} "$@"\n`);
  chmodSync(ip, 0o755);
  return { ip, starts: () => readFileSync(log, 'utf8').split('\n').slice(0, -1) };
}

netnsTest(
  'a whole batch is one ip process, counted by the ip itself, with either runner',
  async (t, namespace) => {
    for (const run of [namespace.run, inNamespace(namespace.path, runSync)] satisfies Run[]) {
      const { ip, starts } = countingIp(t);
      await applyOperations({ run, ip }, []);
      t.deepEqual(starts(), []);
      await applyOperations({ run, ip }, adds);
      t.deepEqual(starts(), ['-batch -']);
      t.is(ownPolicies(await listPolicies({ run, ip })).length, adds.length);
      const deletes = adds.map(({ policy: one }): Operation => ({ op: 'delete', policy: one }));
      await applyOperations({ run, ip }, deletes);
      t.deepEqual(starts(), ['-batch -', 'xfrm policy', '-batch -']);
    }
  },
);

netnsTest('without CAP_NET_ADMIN the error says so, and nothing changes', async (t, namespace) => {
  const unprivileged: Run = (command) =>
    namespace.run({
      ...command,
      file: '/usr/bin/setpriv',
      args: ['--reuid=65534', '--clear-groups', command.file, ...command.args],
    });
  const calls = [
    applyOperations({ run: unprivileged, ip: IP }, adds),
    listPolicies({ run: unprivileged, ip: IP }),
  ];
  for (const call of calls) {
    const error = await t.throwsAsync<XfrmError>(call, { instanceOf: XfrmError });
    t.is(error?.failure.reason, 'not-permitted');
  }
  t.is(await namespace.ip('xfrm', 'policy'), '');
});
