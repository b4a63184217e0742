import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { attachPod } from '../helpers/kube/attach.ts';
import { AGENT_PORT } from '../helpers/kube/lab.ts';
import { testsOverOneLab } from '../helpers/kube/lab-test.ts';
import { item, policy, service } from '../helpers/kube/objects.ts';
import { apply, condition, seedServices } from '../helpers/kube/policies.ts';
import { must } from '../helpers/netns/netns.ts';
import { golden, ROOT } from '../helpers/unit/root.ts';
import { until } from '../helpers/unit/until.ts';
import { outage } from './outage.ts';

/** The application on three nodes, from kubectl apply to kubectl delete. */
const labTest = testsOverOneLab({
  nodes: ['node-a', 'node-b', 'node-c'],
  async begin(lab) {
    await apply(lab.server, seedServices());
    for (const node of lab.nodes) {
      await node.startAgent();
    }
    await lab.startController('controller-1');
    await until(
      'agents have reported',
      async () => (await lab.server.kubectl(['get', 'ipsecnodes', '-o', 'name'])).split('\n').length > 3,
    );
    await until(
      'every node is healthy',
      async () =>
        !/False|<none>/.test(
          await lab.server.kubectl([
            'get',
            'ipsecnodes',
            '--no-headers',
            '-o',
            'custom-columns=H:.status.conditions[0].status',
          ]),
        ),
    );
  },
});

labTest(
  'the policy of the seed is in force on every node within ten seconds',
  async (t, { server, nodes }, context) => {
    const name = 'ipsecpolicy-kube-dns-sample';
    const started = Date.now();
    await server.kubectl(['apply', '-f', join(ROOT, `conf/examples/${name}.yaml`)]);
    const applied = Date.now();
    await until('enforced', async () => (await condition(server, name, 'Enforced'))?.status === 'True').catch(
      async (error: Error) => {
        const nodesSay = await server.kubectl(['get', 'ipsecnodes', '-o', 'yaml']);
        throw new Error(
          `${error.message}: ${JSON.stringify(await condition(server, name, 'Enforced'))}\n${nodesSay}`,
        );
      },
    );
    t.log(
      `kubectl apply to Enforced=True on three nodes: ${Date.now() - applied} ms after kubectl (${applied - started} ms) returned`,
    );
    t.true(Date.now() - applied < 10_000);
    const [, nodeB] = nodes;
    if (nodeB === undefined) {
      throw new Error('no node-b');
    }
    // ADD of the DNS pod on node-b, with the executable that its agent has put in place.
    await attachPod(context, nodeB, { namespace: 'kube-system', name: 'coredns-b', address: '10.244.2.10' });
    for (const node of nodes) {
      t.true((await node.policies()).length > 0, `${node.name} has no policies`);
    }
    const accepted = await condition(server, name, 'Accepted');
    t.is(accepted?.status, 'True', accepted?.message);
    const table = await server.kubectl(['get', 'ipsecpolicies']);
    t.regex(table, /ipsecpolicy-kube-dns-sample +True +True +Required +3\/3 +2 +2 /);
    const events = await server.kubectl([
      'get',
      'events',
      '-n',
      'default',
      '-o',
      'custom-columns=R:.reason,M:.message,O:.involvedObject.name',
      '--no-headers',
    ]);
    t.regex(events, /Enforced +enforced on 3 of 3 nodes +ipsecpolicy-kube-dns-sample/);
  },
);

labTest('items that are refused are told, and hold nobody else up', async (t, { server }) => {
  const items = [
    item('web', 'tcp/80'),
    item('kube-dns', 'tcp/7', { name: 'x', servicens: 'kube-system' }),
    item('y', 'tcp/10-5'),
  ];
  await apply(server, [policy('broken', items)]);
  const accepted = await until('said', async () => await condition(server, 'broken', 'Accepted'));
  t.is(accepted.status, 'False');
  t.regex(accepted.message, /tcp\/10-5.*the range ends before it begins/);
  t.regex(accepted.message, /ServiceNotFound: ns\/web/);
  t.regex(accepted.message, /PortNotFound: tcp\/7/);
  t.is(
    (await condition(server, 'ipsecpolicy-kube-dns-sample', 'Enforced'))?.status,
    'True',
    'others keep working',
  );
  await apply(server, [service('ns', 'web')]);
  await until('a service that comes later', async () => {
    const now = await condition(server, 'broken', 'Accepted');
    return now !== undefined && !now.message.includes('ServiceNotFound');
  });
  await server.kubectl(['delete', 'ipsecpolicy', 'broken']);
});

labTest('an agent may write its own IPsecNode alone', async (t, { server, kubeconfigOf }) => {
  const kubeconfig = await kubeconfigOf('trapline-agent', 'node-a');
  const patch = (node: string): string[] => [
    `--kubeconfig=${kubeconfig}`,
    'patch',
    'ipsecnode',
    node,
    '--type=merge',
    '--patch={"metadata":{"labels":{"x":"y"}}}',
  ];
  t.regex(await server.refused(patch('node-b')), /an agent writes the IPsecNode of its own node alone/);
  t.is(await server.refused(patch('node-a')), '');
  const forbidden = await server.refused([`--kubeconfig=${kubeconfig}`, 'get', 'secrets', '-A']);
  t.regex(forbidden, /cannot list resource "secrets"/);
  const others = await server.refused([`--kubeconfig=${kubeconfig}`, 'delete', 'ipsecpolicy', '--all']);
  t.regex(others, /cannot (list|delete) resource|forbidden/);
});

labTest('probes and metrics', async (t, { nodes }) => {
  const [{ namespace: ns }] = nodes as [(typeof nodes)[number]];
  const get = async (path: string): Promise<string> =>
    (await must({ file: '/usr/bin/curl', args: ['-s', `http://127.0.0.1:${AGENT_PORT}${path}`] }, ns.run))
      .stdout;
  t.is(await get('/healthz'), 'ok\n');
  t.is(await get('/readyz'), 'ok\n');
  const metrics = await get('/metrics');
  t.regex(metrics, /\ntrapline_healthy 1\n/);
  t.regex(metrics, /\ntrapline_xfrm_policies [1-9]/);
  t.regex(metrics, /\ntrapline_certificate_expiry_timestamp_seconds 1\d{9}/);
});

labTest(
  'an outage of the API server leaves everything in force, and what comes after it takes effect',
  outage,
);

labTest('a second controller waits for the first', async (t, { server, startController }) => {
  await startController('controller-2');
  await sleep(2_000);
  const holder = async (): Promise<string> =>
    await server.kubectl([
      'get',
      'lease',
      '-n',
      'trapline-system',
      'trapline-controller',
      '-o',
      'jsonpath={.spec.holderIdentity}',
    ]);
  t.is(await holder(), 'controller-1');
});

labTest('what is deleted leaves no policy, no file and no device', async (t, { server, nodes }) => {
  const [{ confDir, binDir }] = nodes as [(typeof nodes)[number]];
  const conflist = (folder: string): unknown =>
    JSON.parse(readFileSync(join(folder, '10-flannel.conflist'), 'utf8'));
  t.regex(JSON.stringify(conflist(confDir)), /"trapline"/);
  t.true(existsSync(join(binDir, 'trapline')));

  const restarted = nodes[2];
  const kept = await restarted?.policies();
  await restarted?.agent?.stop('SIGTERM');
  t.deepEqual(await restarted?.policies(), kept, 'an end by SIGTERM alone removes nothing');
  t.regex(JSON.stringify(conflist(restarted?.confDir ?? '')), /"trapline"/);
  await restarted?.startAgent();
  await until('back', async () => (restarted?.log().match(/"reconciled"|chained in/g)?.length ?? 0) > 1);
  await sleep(2_000);

  await server.kubectl(['delete', '-f', join(ROOT, 'conf/install.yaml'), '--wait=false']);
  for (const node of nodes) {
    await node.agent?.stop('SIGTERM');
    t.deepEqual(await node.policies(), [], node.log().slice(-800));
    t.deepEqual(
      conflist(node.confDir),
      JSON.parse(readFileSync(golden('install/conflists/flannel.conflist'), 'utf8')),
    );
    t.deepEqual(readdirSync(node.binDir), []);
    t.deepEqual(readdirSync(node.confDir), ['10-flannel.conflist']);
    t.false(existsSync(node.runDir), 'the run directory is left');
    t.notRegex(await node.namespace.ip('-o', 'link'), /trapline/);
    t.is(
      (await must({ file: '/bin/cat', args: ['/proc/sys/net/core/xfrm_larval_drop'] }, node.namespace.run))
        .stdout,
      '1\n',
    );
  }
});
