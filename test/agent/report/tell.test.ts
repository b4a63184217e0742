import test from 'ava';
import type { NodeReport } from '../../../src/agent/report/node-report.ts';
import { tell } from '../../../src/agent/report/tell.ts';
import { newState } from '../../../src/agent/state.ts';
import { BOUNDS } from '../../../src/cluster/bounds.ts';
import { nodeStatusSchema } from '../../../src/cluster/contract/node-status.ts';
import { heartbeatSchema } from '../../../src/rundir/heartbeat.ts';
import { harness } from '../../helpers/unit/agent.ts';

const { elements, name, text, summary } = BOUNDS.told;
const LONG = '\u{1f600}x'.repeat(5_000);

async function told(failing: number, problems: readonly string[], notices: readonly string[] = []) {
  const { effects, beats } = harness();
  const reports: NodeReport[] = [];
  const failures = Array.from({ length: failing }, (_, index) => ({
    connection: `k8s-node-${index}-${LONG}`,
    reason: LONG,
  }));
  const charon = {
    ...effects.charon,
    error: () => LONG,
    report: async () => ({ ikeSas: 0, childSas: 0, certificate: null, failures }),
  };
  const publish = (report: NodeReport): void => void reports.push(report);
  const state = { ...newState(null), problems, reconcileError: LONG, refusedError: LONG, hairpinError: LONG };
  await tell({ ...effects, charon, publish, notices: () => notices }, state, []);
  const [beat, report] = [beats[0], reports[0]];
  if (beat === undefined || report === undefined) {
    throw new Error('nothing was told');
  }
  return { beat, report };
}

test('whatever is told has a bound, in number and in length', async (t) => {
  const problems = Array.from({ length: 900 }, (_, index) => `Service ${index}: ${LONG}`);
  const { beat, report } = await told(700, problems, ['--listen: taken']);
  t.is(report.failures.length, elements);
  t.is(new Set(report.failures.map(({ peer }) => peer)).size, elements);
  t.true(report.failures.every(({ peer, reason }) => peer.length <= name && reason.length <= text));
  t.is(report.problems.length, elements);
  t.is(report.problems[0], `negotiations: ${700 - elements} more fail than the ${elements} that are told`);
  t.is(report.problems[1], '--listen: taken');
  t.is(report.problems.at(-1), `and ${902 - elements + 1} more, which are not told`);
  t.true([...report.problems, ...(beat.failures ?? [])].every((each) => each.length <= name + text + 2));
  t.deepEqual(beat.problems, report.problems);
  for (const error of [beat.charonError, beat.reconcileError, beat.hairpinError, report.error]) {
    t.is(error.length, summary);
    t.true(error.isWellFormed());
  }
  t.true(JSON.stringify(beat).length < 200_000);
  t.notThrows(() => heartbeatSchema.parse({ ...beat, pid: 1, version: '' }));
  t.notThrows(() => nodeStatusSchema.shape.problems.parse(report.problems));
  t.notThrows(() => nodeStatusSchema.shape.failures.parse(report.failures));
});

test('what is within the bounds is told as it is', async (t) => {
  const { report } = await told(0, ['Service a: no']);
  t.deepEqual(report.problems, ['Service a: no']);
  t.deepEqual(report.failures, []);
});
