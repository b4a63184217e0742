import test from 'ava';
import { type Command, RunError, type RunResult } from '../../../src/exec/types.ts';
import { XfrmError, type XfrmFailure } from '../../../src/ipsec/xfrm/error.ts';
import { deleteState, listPolicies, listStates } from '../../../src/ipsec/xfrm/kernel.ts';
import type { Operation } from '../../../src/ipsec/xfrm/operation.ts';
import { applyOperations } from '../../../src/ipsec/xfrm/write/apply.ts';
import { policy, selector } from './policies.ts';

const IP = '/sbin/ip';

/** An `ip` that answers from a script, one answer a process, and keeps what it was asked. */
function scripted(...answers: readonly (Partial<RunResult> | Error)[]) {
  const commands: Command[] = [];
  const run = async (command: Command): Promise<RunResult> => {
    const answer = answers[commands.length];
    commands.push(command);
    if (answer === undefined || answer instanceof Error) {
      throw answer ?? new Error(`process ${commands.length} was not foreseen`);
    }
    return { exitCode: 0, stdout: '', stderr: '', ...answer };
  };
  return { commands, iproute2: { run, ip: IP } };
}

/** What `ip` answers if the batch ends after `done` lines. */
function batch(done: number, stderr = ''): Partial<RunResult> {
  const stdout = '\t SPD IN  0 OUT 1 FWD 0\n'.repeat(done);
  return stderr === '' ? { stdout } : { stdout, stderr: `${stderr}\n`, exitCode: 2 };
}

const EXISTS = 'RTNETLINK answers: File exists';
const GONE = 'RTNETLINK answers: No such file or directory';
const adds = [1, 2, 3].map(
  (sport): Operation => ({ op: 'add', policy: policy({ selector: selector({ sport }) }) }),
);
const listed = (sport: number, priority: number, reqid: number) =>
  `src 10.1.0.3/32 dst 10.2.0.0/24 proto udp sport ${sport} \n\tdir out priority ${priority} ptype main \n` +
  `\ttmpl src 192.168.0.1 dst 192.168.0.2\n\t\tproto esp reqid ${reqid} mode tunnel\n`;

function linesOf(command: Command | undefined): string[] {
  const lines = (command?.input ?? '').trimEnd().split('\n');
  return lines
    .filter((line) => line !== 'xfrm policy count')
    .map((line) => line.replace(/ (src|priority) .*sport/, '').replace(/ priority.*/, ''));
}

test('nothing to do starts no process', async (t) => {
  const { commands, iproute2 } = scripted();
  t.deepEqual(await applyOperations(iproute2, []), []);
  t.deepEqual(commands, []);
});

test('any number of operations is one process', async (t) => {
  const { commands, iproute2 } = scripted(batch(3));
  t.deepEqual(await applyOperations(iproute2, adds), adds);
  t.is(commands.length, 1);
  t.like(commands[0], { file: IP, args: ['-batch', '-'] });
});

test('an add of what exists, ours: equal is left, different is updated, the rest goes on', async (t) => {
  const list = listed(1, 1_100, 10_000_001) + listed(2, 1_150, 10_000_009);
  const { commands, iproute2 } = scripted(batch(0, EXISTS), { stdout: list }, batch(2));
  const changed = await applyOperations(iproute2, adds);
  t.deepEqual(
    changed.map(({ op }) => op),
    ['update', 'add'],
  );
  t.like(changed[0], { previous: { priority: 1_150, template: { reqid: 10_000_009 } } });
  t.deepEqual(linesOf(commands[2]), ['xfrm policy update dir out 2', 'xfrm policy add dir out 3']);
});

test('a delete of what is gone, or of what another has taken the place of, is not an error', async (t) => {
  const deletes = adds.map(({ policy: gone }): Operation => ({ op: 'delete', policy: gone }));
  const list = listed(2, 1_100, 7) + listed(3, 1_100, 10_000_001);
  const { commands, iproute2 } = scripted(batch(0, GONE), { stdout: list }, batch(1));
  t.deepEqual(await applyOperations(iproute2, deletes), [deletes[2]]);
  t.deepEqual(linesOf(commands[2]), ['xfrm policy delete dir out 3']);
});

test('a foreign policy in the way: what was done is undone, the error names selector, priority and reqid', async (t) => {
  const list = listed(1, 1_100, 10_000_001) + listed(2, 379_519, 7);
  const { commands, iproute2 } = scripted(batch(1, EXISTS), { stdout: list }, batch(1));
  const error = await t.throwsAsync(applyOperations(iproute2, adds), { instanceOf: XfrmError });
  t.is(error?.failure.reason, 'conflict');
  t.is(
    error?.message,
    'out 10.1.0.3/32 10.2.0.0/24 udp 2 0: held by a policy that is not ours (priority 379519, reqid 7)',
  );
  t.deepEqual(linesOf(commands[2]), ['xfrm policy delete dir out 1']);
});

test('a line that the kernel refuses is named, with what ip said, and the lines before it are undone', async (t) => {
  const { commands, iproute2 } = scripted(batch(2, 'Error: no.\nCommand failed -:5'), batch(2));
  const error = await t.throwsAsync(applyOperations(iproute2, adds), { instanceOf: XfrmError });
  t.like(error?.failure, { reason: 'refused', operation: adds[2] as Operation, said: 'Error: no.' });
  t.regex(error?.message ?? '', /^ip xfrm policy add dir out .* sport 3 .*: Error: no\.$/);
  t.deepEqual(linesOf(commands[1]), ['xfrm policy delete dir out 2', 'xfrm policy delete dir out 1']);
});

test('an undo that fails too says what is left and keeps the first error', async (t) => {
  const { iproute2 } = scripted(batch(2, 'Error: no.'), batch(1, 'Error: never.'));
  const error = await t.throwsAsync(applyOperations(iproute2, adds), { instanceOf: XfrmError });
  t.deepEqual(error?.failure, { reason: 'undo-failed', left: [adds[0] as Operation] });
  t.regex(error?.message ?? '', /Error: no\.; undoing it failed too: .*Error: never\.$/);
  t.like(error?.cause, { failure: { reason: 'refused' } });
});

test('a kernel that keeps saying File exists and shows nothing is not asked for ever', async (t) => {
  const refusal = [batch(0, EXISTS), { stdout: '' }];
  const { commands, iproute2 } = scripted(...refusal, ...refusal, ...refusal, ...refusal);
  const error = await t.throwsAsync(applyOperations(iproute2, adds), { instanceOf: XfrmError });
  t.is(error?.failure.reason, 'refused');
  t.is(commands.length, 7);
});

for (const [title, answer, reason, message] of [
  [
    'no ip',
    new RunError('not-found', `${IP}: not found`),
    'no-iproute2',
    /^iproute2 is missing: \/sbin\/ip: not found$/,
  ],
  ['ip out of time', new RunError('timeout', 'late'), 'interrupted', /^late$/],
  ['ip killed', new RunError('signal', 'killed'), 'interrupted', /^killed$/],
  ['ip that cannot run', new RunError('failed', 'EACCES'), 'command-failed', /^EACCES$/],
  [
    'not root',
    { exitCode: 2, stderr: 'RTNETLINK answers: Operation not permitted\n' },
    'not-permitted',
    /CAP_NET_ADMIN/,
  ],
  [
    'no XFRM',
    { exitCode: 1, stderr: 'Cannot open netlink socket: Protocol not supported\n' },
    'no-xfrm',
    /CONFIG_XFRM_USER/,
  ],
] as const) {
  test(`${title}: ${reason}, from every call and with no second process`, async (t) => {
    const calls = [
      (iproute2: ReturnType<typeof scripted>['iproute2']) => applyOperations(iproute2, adds),
      listPolicies,
      listStates,
      (iproute2: ReturnType<typeof scripted>['iproute2']) =>
        deleteState(iproute2, { src: '1.1.1.1', dst: '2.2.2.2', spi: 1 }),
    ];
    for (const call of calls) {
      const { commands, iproute2 } = scripted(answer);
      const error = await t.throwsAsync<XfrmError>(call(iproute2), { instanceOf: XfrmError, message });
      t.is(error?.failure.reason, reason as XfrmFailure['reason']);
      t.is(commands.length, 1);
    }
  });
}

test('SAs are listed without their keys, and one that is gone is deleted without an error', async (t) => {
  const { commands, iproute2 } = scripted(
    {},
    { exitCode: 2, stderr: 'RTNETLINK answers: No such process\n' },
  );
  await listStates(iproute2);
  await deleteState(iproute2, { src: '1.1.1.1', dst: '2.2.2.2', spi: 0xc1a2b3c4 });
  t.deepEqual(
    commands.map(({ args }) => args.join(' ')),
    ['-s xfrm state list nokeys', 'xfrm state delete src 1.1.1.1 dst 2.2.2.2 proto esp spi 0xc1a2b3c4'],
  );
});

test('another failure of a listing names the command and what ip said', async (t) => {
  const { iproute2 } = scripted({ exitCode: 1, stderr: 'Dump terminated\n' });
  await t.throwsAsync(listPolicies(iproute2), {
    instanceOf: XfrmError,
    message: 'ip xfrm policy: Dump terminated',
  });
});
