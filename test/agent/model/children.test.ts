import test from 'ava';
import { planPolicies } from '../../../src/ipsec/plan/plan.ts';
import { build } from '../../helpers/unit/model.ts';
import { item, node, pod, policy, service, slice } from '../../helpers/unit/objects.ts';

test('a port that two entries name is in the child of each', (t) => {
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
    { name: 'tcp_two', proto: 'tcp', ports: [80, 81] },
    { name: 'tcp_one', proto: 'tcp', ports: [80] },
  ]);
  t.deepEqual(
    content.endpoints.map(({ ports: [first] }) => first),
    [
      { proto: 'tcp', port: 80, child: 'tcp_one' },
      { proto: 'tcp', port: 80, child: 'tcp_two' },
    ],
  );
});

const dnsOf = (targetPort: number) => {
  const elsewhere = { namespace: 'tenant' };
  const web = service('web', [{ port: 80, targetPort }]);
  const { content } = build({
    services: [service('dns', [{ port: 53 }]), { ...web, metadata: { ...web.metadata, ...elsewhere } }],
    endpointSlices: [slice('dns', ['10.1.2.1'], [{ name: '', port: 53 }])],
    // The tenant's item comes first, in whatever order.
    policies: [
      policy('a', item('a', 'tcp/80', { servicename: 'web', servicens: 'tenant' })),
      policy('z', item('dns', 'tcp/53')),
    ],
  });
  const { endpoints, unlisted, children } = content;
  const dns = children.find(({ name }) => name === 'tcp_dns');
  return { endpoints, dns, unlisted: unlisted?.find(({ port }) => port === 53) };
};

test("a tenant's targetPort takes no port away from another entry, listed or not", (t) => {
  const before = dnsOf(8080);
  t.deepEqual(before.unlisted, { proto: 'tcp', port: 53, child: 'tcp_dns' });
  t.deepEqual(before.dns, { name: 'tcp_dns', proto: 'tcp', ports: [53] });
  t.deepEqual(dnsOf(53), before);
});

test('of several entries that name a port, the narrowest spec has it unlisted, then the first item', (t) => {
  const childOf = (...items: object[]): string | undefined =>
    build({
      services: ['one', 'two'].map((name) => service(name, [{ port: 80 }])),
      policies: [policy('p', ...items)],
    }).content.unlisted?.find(({ port }) => port === 80)?.child;
  t.is(childOf(item('two', 'tcp/80'), item('one', 'tcp/80')), 'tcp_two');
  t.is(childOf(item('two', 'tcp/1-100'), item('one', 'tcp/80')), 'tcp_one');
});

test('an address that several entries have goes through the child of the first item, on both ends', (t) => {
  const objects = {
    services: ['one', 'two'].map((name) => service(name, [{ port: 80 }], { selector: { app: 'both' } })),
    endpointSlices: ['one', 'two'].map((name) =>
      slice(name, ['10.1.2.1'], [{ name: '', port: 80 }], {
        nodeName: 'b',
        targetRef: { kind: 'Pod', name: 'both', namespace: 'ns' },
      }),
    ),
    pods: [pod('both', 'b', { status: { phase: 'Running', podIPs: [{ ip: '10.1.2.1' }] } })],
    policies: [policy('p', item('two', 'tcp/80'), item('one', 'tcp/80'))],
  };
  const sent = (nodeName: string): string[] => {
    const { content } = build(objects, { nodeName });
    const names = new Map(
      content.peers.flatMap(({ reqids }) => Object.entries(reqids).map(([n, id]) => [id, n])),
    );
    return planPolicies({ schema: 1, generation: 1, writtenAt: 0, ...content }, [])
      .filter(({ dir, priority, selector }) => dir === 'out' && priority < 1_102 && selector.proto === 'tcp')
      .map(({ template }) => names.get(template.reqid) ?? '');
  };
  t.deepEqual(new Set(sent('a')), new Set(['tcp_two_egress']));
  t.deepEqual(new Set(sent('b')), new Set(['tcp_two_ingress']));
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
