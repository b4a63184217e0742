import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments, stringify } from 'yaml';
import { IPSEC_NODES_PATH } from '../../src/cluster/contract/resources.ts';
import { createKubeClient, loadKubeConfig } from '../../src/kube/client.ts';
import { messageOf } from '../../src/util/message-of.ts';
import { apiserverTest } from '../helpers/kube/apiserver-test.ts';
import { kubeconfigOf } from '../helpers/kube/service-account.ts';
import { ROOT } from '../helpers/unit/root.ts';
import { until } from '../helpers/unit/until.ts';

const installed = readFileSync(join(ROOT, 'conf/install.yaml'), 'utf8');

/** What of conf/install.yaml says who may do what. */
const access = parseAllDocuments(installed)
  .map((document) => document.toJS() as { kind: string; apiVersion: string })
  .filter(
    ({ kind, apiVersion }) =>
      ['Namespace', 'ServiceAccount'].includes(kind) || /^(rbac|admissionregistration)\./.test(apiVersion),
  )
  .map((object) => stringify(object))
  .join('---\n');

const KUBELET = ['--as=system:node:node-a', '--as-group=system:nodes'];
const TENANT = ['--as=tenant'];
const ADMIN = ['--as=operator'];
const SLICES = ['--as=system:serviceaccount:kube-system:endpointslice-controller'];

const bound = (name: string, role: string, subject: object): object => ({
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'ClusterRoleBinding',
  metadata: { name },
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
  subjects: [subject],
});
const user = (name: string): object => ({ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name });

const RULES: readonly object[] = [
  bound('kubelets', 'system:node', {
    apiGroup: 'rbac.authorization.k8s.io',
    kind: 'Group',
    name: 'system:nodes',
  }),
  bound('operator', 'cluster-admin', user('operator')),
  {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'Role',
    metadata: { name: 'slices', namespace: 'default' },
    rules: [{ apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['*'] }],
  },
  {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: { name: 'slices', namespace: 'default' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'slices' },
    subjects: [user('tenant')],
  },
];

const node = (name: string, annotations: object): string =>
  JSON.stringify({ apiVersion: 'v1', kind: 'Node', metadata: { name, annotations } });
const slice = (name: string, managedBy: string): string =>
  JSON.stringify({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name, namespace: 'default', labels: { 'endpointslice.kubernetes.io/managed-by': managedBy } },
    addressType: 'IPv4',
    endpoints: [{ addresses: ['192.0.2.11'] }],
    ports: [{ port: 6443 }],
  });

const MANAGED = 'endpointslice-controller.k8s.io';
const NOT_KUBELET = /a kubelet does not change the trapline\.io annotations/;
const NOT_KUBERNETES = /only Kubernetes itself labels a slice/;

apiserverTest('the admission policies keep each to its own word', async (t, server) => {
  await server.kubectl(['apply', '-f', '-'], access);
  await server.kubectl(['apply', '-f', '-'], RULES.map((rule) => stringify(rule)).join('---\n'));
  const refused = (as: readonly string[], args: readonly string[], input?: string): Promise<string> =>
    server.refused([...as, ...args], input);
  const create = ['create', '--validate=false', '-f', '-'];

  // A kubelet makes its own Node, and writes what is not ours.
  await until('the policies to be in force', async () =>
    NOT_KUBELET.test(await refused(KUBELET, create, node('probe', { 'trapline.io/x': '' }))),
  );
  t.is(await refused(KUBELET, create, node('node-a', { 'example.com/x': 'y' })), '');
  t.regex(
    await refused(KUBELET, create, node('node-b', { 'trapline.io/pod-cidrs': '10.0.0.0/24' })),
    NOT_KUBELET,
  );
  const annotate = (...words: string[]): string[] => ['annotate', '--overwrite', 'node', 'node-a', ...words];
  t.is(await refused(KUBELET, annotate('example.com/x=z')), '');
  t.regex(await refused(KUBELET, annotate('trapline.io/pod-cidrs=10.0.0.0/24')), NOT_KUBELET);
  t.regex(await refused(KUBELET, annotate('trapline.io/addresses=192.0.2.12')), NOT_KUBELET);
  const putStatus = ['replace', '--raw', '/api/v1/nodes/node-a/status', '-f', '-'];
  t.regex(
    await refused(KUBELET, putStatus, node('node-a', { 'trapline.io/pod-cidrs': '0.0.0.0/0' })),
    NOT_KUBELET,
  );
  t.is(await refused(KUBELET, putStatus, node('node-a', { 'example.com/x': 'status' })), '');

  // The administrator does, and the kubelet goes on without touching it.
  t.is(await refused(ADMIN, annotate('trapline.io/pod-cidrs=10.0.0.0/24')), '');
  t.is(await refused(KUBELET, annotate('example.com/x=again')), '');
  t.regex(await refused(KUBELET, annotate('trapline.io/pod-cidrs=10.0.0.0/25')), NOT_KUBELET);
  t.regex(await refused(KUBELET, annotate('trapline.io/pod-cidrs-')), NOT_KUBELET);
  t.regex(await refused(KUBELET, putStatus, node('node-a', {})), NOT_KUBELET);
  t.is(await refused(ADMIN, annotate('trapline.io/pod-cidrs-')), '');

  // Slices: the label of the EndpointSlice controller is its own and an administrator's.
  t.regex(await refused(TENANT, create, slice('forged', MANAGED)), NOT_KUBERNETES);
  t.is(await refused(TENANT, create, slice('manual', 'tenant')), '');
  const label = (value: string): string[] => [
    'label',
    '--overwrite',
    'endpointslice',
    'manual',
    `endpointslice.kubernetes.io/managed-by=${value}`,
  ];
  t.regex(await refused(TENANT, label(MANAGED)), NOT_KUBERNETES);
  t.is(await refused(SLICES, create, slice('real', MANAGED)), '');
  const edit = [
    'patch',
    'endpointslice',
    'real',
    '--type=merge',
    '--patch={"endpoints":[{"addresses":["192.0.2.12"]}]}',
  ];
  t.regex(await refused(TENANT, edit), NOT_KUBERNETES);
  t.is(await refused(SLICES, ['replace', '--validate=false', '-f', '-'], slice('real', MANAGED)), '');
  t.is(await refused(ADMIN, edit), '');
  t.is(await refused(TENANT, ['delete', 'endpointslice', 'real']), '');

  // An agent writes the IPsecNode of its own node, and reads those that lend.
  const agentConfig = await kubeconfigOf(server, 'trapline-agent', 'node-a');
  const agent = [`--kubeconfig=${agentConfig}`];
  const own = (name: string): string =>
    JSON.stringify({
      apiVersion: 'trapline.io/v1alpha1',
      kind: 'IPsecNode',
      metadata: { name, labels: { 'trapline.io/lends': 'true' } },
    });
  t.is(await refused(agent, create, own('node-a')), '');
  t.regex(await refused(agent, create, own('node-b')), /its own node alone/);
  const lends = await server.kubectl([
    ...agent,
    'get',
    'ipsecnodes',
    '-l',
    'trapline.io/lends=true',
    '-o',
    'name',
  ]);
  t.is(lends.trim(), 'ipsecnode.trapline.io/node-a');
  const client = createKubeClient(loadKubeConfig(agentConfig));
  const confirm = async (name: string): Promise<string> =>
    await client
      .request({
        method: 'PATCH',
        path: `${IPSEC_NODES_PATH}/${name}/status`,
        contentType: 'application/merge-patch+json',
        body: { status: { addressesOutside: ['10.9.9.9'] } },
      })
      .then(() => '', messageOf);
  t.is(await confirm('node-a'), '');
  t.is(await refused(ADMIN, create, own('node-b')), '');
  t.regex(await confirm('node-b'), /its own node alone/);
});
