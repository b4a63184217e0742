import { type Lab, nodeOf } from '../nodes/lab.ts';
import { startAgent, startCharon, swanctl } from '../nodes/node.ts';
import { CLEAR, dig, lagOf, policiesOf, STRETCH, sasOf } from '../nodes/probe.ts';
import { until } from '../nodes/process.ts';
import { check, type Report } from '../nodes/report.ts';

/** Nothing that stops or dies lets anything out in the clear. */
export async function failures(lab: Lab, report: Report): Promise<boolean> {
  const node = nodeOf(lab, 'controller-1');
  const back = async (): Promise<number> =>
    await until('DNS is back', 10_000 * STRETCH, async () => (await dig(lab, 'client2', ['+time=1'])).ok);
  const nothingInTheClear = async (): Promise<void> => {
    const clear = await lab.wire.show(CLEAR);
    check(clear.length === 0, `in the clear: ${clear.slice(0, 5).join('\n')}`);
  };

  await report.step(
    'charon stopped on controller-1: protected traffic stops, none goes in the clear',
    async (say) => {
      await node.charon?.stop('SIGTERM');
      const answer = await dig(lab, 'client2', ['+time=3']);
      check(!answer.ok, 'there was an answer');
      await nothingInTheClear();
      say('no answer, nothing on the wire');
    },
  );
  await report.step('charon started again: traffic is back by itself', async (say) => {
    const started = performance.now();
    await startCharon(node);
    const up = performance.now();
    await back();
    const limit = STRETCH === 1 ? '' : `, emulated: the bound of 10 s is stretched ${STRETCH} times`;
    say(
      `charon ready after ${((up - started) / 1000).toFixed(1)} s, DNS back after ${((performance.now() - started) / 1000).toFixed(1)} s${limit}`,
    );
    await nothingInTheClear();
  });
  await report.step('charon killed: traffic goes on; restarted: its SAs are replaced', async (say) => {
    check((await dig(lab, 'client2')).ok, 'no answer before the kill');
    await node.charon?.stop('SIGKILL');
    check((await dig(lab, 'client2')).ok, 'no answer while charon is dead');
    const orphans = (await sasOf(node)).map(({ spi }) => spi);
    await startCharon(node);
    const ms = await until('orphans replaced', 30_000 * STRETCH, async () =>
      (await sasOf(node)).every(({ spi }) => !orphans.includes(spi)),
    );
    say(`${orphans.length} SAs replaced after ${(ms / 1000).toFixed(1)} s`);
    check((await dig(lab, 'client2')).ok, 'no answer after the restart');
    await nothingInTheClear();
  });
  return await report.step('agent killed and restarted: policies and traffic stay', async () => {
    const before = (await policiesOf(node)).length;
    await node.agent?.stop('SIGKILL');
    check((await policiesOf(node)).length === before, 'policies changed when the agent died');
    check((await dig(lab, 'client2')).ok, 'no answer while the agent is dead');
    startAgent(node, lab);
    await until(
      'agent in step',
      15_000 * STRETCH,
      async () => lagOf(node, 2) === '' && (node.agent?.running() ?? false),
    );
    check((await policiesOf(node)).length === before, 'policies changed when the agent came back');
    check((await dig(lab, 'client2')).ok, 'no answer after the restart');
    check((await swanctl(node, '--list-sas')).stdout.includes('ESTABLISHED'), 'the IKE_SAs are gone');
    await nothingInTheClear();
  });
}
