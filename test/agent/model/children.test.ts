import test from 'ava';
import { build } from '../../helpers/unit/model.ts';
import { item, node, pod, policy, service, slice } from '../../helpers/unit/objects.ts';

test('a port that two entries name belongs to the first by name', (t) => {
  const ports = [{ port: 80 }, { name: 'm', port: 81 }];
  const { content } = build({
    services: [service('one', ports), service('two', ports)],
    endpointSlices: [
      slice('one', ['10.1.2.1'], [{ name: '', port: 80 }]),
      slice(
        'two',
        ['10.1.2.2'],
        [
          { name: '', port: 80 },
          { name: 'm', port: 81 },
        ],
      ),
    ],
    policies: [policy('p', item('two', 'tcp/80,tcp/81'), item('one', 'tcp/80'))],
  });
  t.deepEqual(content.children, [
    { name: 'tcp_one', proto: 'tcp', ports: [80] },
    { name: 'tcp_two', proto: 'tcp', ports: [81] },
  ]);
  t.deepEqual(content.endpoints[1]?.ports, [
    { proto: 'tcp', port: 80, child: 'tcp_one' },
    { proto: 'tcp', port: 81, child: 'tcp_two' },
  ]);
});

test('a child that owns no port does not exist', (t) => {
  const { content } = build({
    services: [service('one', [{ port: 80 }]), service('two', [{ port: 80 }])],
    policies: [policy('p', item('two', 'tcp/80'), item('one', 'tcp/80'))],
  });
  t.deepEqual(
    content.children.map(({ name }) => name),
    ['tcp_one'],
  );
  t.deepEqual(Object.keys(content.peers[0]?.reqids ?? {}), ['tcp_one_egress', 'tcp_one_ingress']);
});

test('one child for everything in scope node, none while nothing is protected', (t) => {
  const objects = {
    services: [service('web', [{ port: 80 }])],
    policies: [policy('p', item('web', 'tcp/80'))],
  };
  t.deepEqual(build(objects, { childSaScope: 'node' }).content.children, [
    { name: 'pods', proto: 'any', ports: [] },
  ]);
  t.deepEqual(build({}, { childSaScope: 'node' }).content.children, []);
});

const container = (name: string, containerPort: number) => ({ ports: [{ name, containerPort }] });

test('a named port of a selected pod counts before any slice, on every node', (t) => {
  const objects = {
    nodes: [node('a'), node('b')],
    services: [service('web', [{ port: 80, targetPort: 'www' }])],
    pods: [
      pod('web', 'b', { spec: { containers: [container('www', 8080)] } }),
      pod('stranger', 'a', { spec: { containers: [container('www', 9999)] } }),
      pod('ended', 'b', {
        metadata: { labels: { app: 'web' } },
        spec: { containers: [container('www', 9998)] },
        status: { phase: 'Succeeded' },
      }),
    ],
    policies: [policy('p', item('web', 'tcp/80'))],
  };
  const expected = [{ name: 'tcp_web', proto: 'tcp', ports: [8080] }] as const;
  t.deepEqual(build(objects, { nodeName: 'a' }).content.children, expected as never);
  t.deepEqual(build(objects, { nodeName: 'b' }).content.children, expected as never);
});

test('pods of this node, as the runtime knows them', (t) => {
  const ports = [
    { name: 'www', containerPort: 8080 },
    { name: 'dns', containerPort: 53, protocol: 'UDP' },
    { containerPort: 1 },
  ];
  const { content } = build({
    pods: [
      pod('web', 'a', {
        spec: {
          nodeName: 'a',
          containers: [{ ports }],
          initContainers: [{ ...container('sidecar', 7), restartPolicy: 'Always' }, container('init', 8)],
        },
        status: { podIP: '10.1.1.9', podIPs: [{ ip: '10.1.1.9' }, { ip: 'FD00::9' }] },
      }),
      pod('mirror', 'a', {
        metadata: {
          annotations: { 'kubernetes.io/config.mirror': 'h', 'kubernetes.io/config.hash': 'hash' },
        },
      }),
      pod('elsewhere', 'b'),
      pod('host', 'a', { spec: { nodeName: 'a', hostNetwork: true } }),
      pod('done', 'a', { status: { phase: 'Succeeded' } }),
      pod('failed', 'a', { status: { phase: 'Failed' } }),
    ],
  });
  t.deepEqual(
    content.pods.map(({ name, uid }) => `${name} ${uid}`),
    ['mirror hash', 'web uid-web'],
  );
  t.deepEqual(content.pods[1]?.addresses, ['10.1.1.9', 'fd00::9']);
  t.deepEqual(content.pods[1]?.ports, [
    { name: 'www', proto: 'tcp', port: 8080 },
    { name: 'dns', proto: 'udp', port: 53 },
    { name: 'sidecar', proto: 'tcp', port: 7 },
  ]);
});
