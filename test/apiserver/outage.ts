import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ExecutionContext } from 'ava';
import type { ApiServer } from '../helpers/kube/apiserver.ts';
import type { KubeLab } from '../helpers/kube/lab.ts';
import { type Creation, item, pod, policy, slice } from '../helpers/kube/objects.ts';
import { apply, condition } from '../helpers/kube/policies.ts';
import { until } from '../helpers/unit/until.ts';

const rssOf = (pid: number): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1_024;

/** Pods that come and go on node-a. */
function churn(round: number): Creation[] {
  return Array.from({ length: 10 }, (_, index) =>
    pod('ns', `web-${round}-${index}`, 'node-a', { app: 'web', round: String(round) }),
  );
}

/** Open watches of what only Trapline watches. */
async function watchesOf({ kubectl }: ApiServer): Promise<number> {
  const metrics = await kubectl(['get', '--raw', '/metrics']);
  const open =
    /^apiserver_longrunning_requests\{.*resource="(ipsecpolicies|ipsecnodes)".*verb="WATCH".*\} (\d+)$/gm;
  return [...metrics.matchAll(open)].reduce((sum, [, , count]) => sum + Number(count), 0);
}

/** The API server is away for a minute, and comes back. */
export async function outage(t: ExecutionContext, { server, nodes }: KubeLab): Promise<void> {
  const before = await Promise.all(nodes.map((node) => node.policies()));
  const rss = nodes.map(({ agent }) => rssOf(agent?.pid ?? 0));
  await apply(server, churn(1));
  const watches = await watchesOf(server);
  await server.kill();
  await until('said on the node', async () => {
    const beat = JSON.parse(readFileSync(join(nodes[0]?.runDir ?? '', 'agent.json'), 'utf8')) as {
      sourceError: string;
    };
    return beat.sourceError !== '';
  });
  await sleep(60_000);
  t.deepEqual(
    await Promise.all(nodes.map((node) => node.policies())),
    before,
    'what is in force stays in force',
  );
  await server.start();
  const started = Date.now();
  await apply(server, [
    policy('web', [item('web', 'tcp/80')]),
    slice('ns', 'web-1', { service: 'web', address: '10.244.3.9', nodeName: 'node-c', port: 80 }),
  ]);
  await until('a policy that is new takes effect', async () => {
    const counts = await Promise.all(nodes.map((node) => node.policies()));
    return counts.every(
      (now, index) => now.length > (before[index]?.length ?? 0) || nodes[index]?.name === 'node-c',
    );
  }).catch((error: Error) => {
    const beats = nodes.map(({ runDir }) => readFileSync(join(runDir, 'agent.json'), 'utf8'));
    throw new Error(`${error.message}: ${beats.join('\n')}`);
  });
  const ms = Date.now() - started;
  const churned = Date.now();
  await server.kubectl([
    'delete',
    'pod',
    '-n',
    'ns',
    '-l',
    'round=1',
    '--wait=false',
    '--force',
    '--grace-period=0',
  ]);
  await apply(server, churn(2));
  const podsOn = (): string =>
    (nodes[0]?.cache()?.pods ?? [])
      .filter(({ namespace: ns }) => ns === 'ns')
      .map(({ name }) => name)
      .join();
  await until(
    'the pods of the node are those of now',
    async () =>
      podsOn() ===
      churn(2)
        .map(({ body }) => body.metadata.name)
        .join(),
  );
  t.log(`ten pods gone and ten new: in the node cache ${Date.now() - churned} ms after the first command`);
  // The controller may still be waiting for its Lease.
  const open = await watchesOf(server);
  t.true(open <= watches, `${open} watches, ${watches} before: one is leaked`);
  await until('and is enforced', async () => (await condition(server, 'web', 'Enforced'))?.status === 'True');
  const after = nodes.map(({ agent }) => rssOf(agent?.pid ?? 0));
  t.log(
    `after 60 s without an API server: in force ${ms} ms after it was ready; memory of the agents ${rss.map(Math.round)} MiB before, ${after.map(Math.round)} MiB after`,
  );
  t.true(ms < 10_000, `${ms} ms`);
  t.true(after.every((now, index) => now < 1.3 * (rss[index] ?? 0) && now < 150));
}
