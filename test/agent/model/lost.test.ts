import test from 'ava';
import type { EndpointSlice } from '../../../src/cluster/objects.ts';
import { planPolicies } from '../../../src/ipsec/plan/plan.ts';
import { build, messages } from '../../helpers/unit/model.ts';
import { item, node, pod, policy, service, slice } from '../../helpers/unit/objects.ts';

const PORTS = [{ name: '', protocol: 'TCP', port: 80 }];
const web = {
  nodes: ['a', 'c'].map((name, index) =>
    node(name, {
      spec: { podCIDRs: [`10.1.${2 * index + 1}.0/24`] },
      status: { addresses: [{ type: 'InternalIP', address: `10.0.0.${index + 1}` }] },
    }),
  ),
  services: [service('web', [{ port: 80 }])],
  policies: [policy('p', item('web', 'tcp/80'))],
};

function policiesTo(address: string, endpointSlices: EndpointSlice[], more: object = {}): string[] {
  const { content } = build({ ...web, endpointSlices, ...more });
  return planPolicies({ schema: 1, generation: 1, writtenAt: 0, ...content }, [])
    .filter(({ selector }) => [selector.src, selector.dst].includes(`${address}/32`))
    .map(
      ({ dir, selector: { src, proto, dport }, template: { level, reqid } }) =>
        `${dir} ${src} ${proto}/${dport} ${level} ${reqid}`,
    );
}

test('nothing is sent in the clear to a pod that Kubernetes lists on no known node', (t) => {
  const endpointSlices = [slice('web', ['10.1.2.10'], PORTS)];
  t.deepEqual(policiesTo('10.1.2.10', endpointSlices), ['out 10.1.1.0/24 tcp/80 required 19999999']);
  t.deepEqual(messages(build({ ...web, endpointSlices })), [
    'EndpointSlice ns/web-1: endpoints.addresses: "10.1.2.10" is on no known node: nothing is sent to its protected ports',
  ]);
  const whole = { policies: [policy('p', item('web', 'tcp/*'))] };
  t.deepEqual(policiesTo('10.1.2.10', endpointSlices, whole), ['out 10.1.1.0/24 tcp/0 required 19999999']);
});

test('an address outside of the cluster in a slice by hand stays open', (t) => {
  t.deepEqual(policiesTo('203.0.113.9', [slice('web', ['203.0.113.9'], PORTS, {})]), []);
});

test('an address of a pod of this node is not lost', (t) => {
  const pods = [pod('web', 'a', { status: { podIPs: [{ ip: '10.9.9.9' }] } })];
  const here = build({ ...web, pods, endpointSlices: [slice('web', ['10.9.9.9'], PORTS)] }).content;
  t.is(here.lost, undefined);
  const old = build({ ...web }).content;
  const former = { ...old, node: { ...old.node, podCidrs: ['10.8.8.0/24'] } };
  const input = { previous: former, now: 1 };
  const endpointSlices = [slice('web', ['10.8.8.8', '10.7.7.7'], PORTS)];
  const { lost } = build({ ...web, endpointSlices }, input).content;
  t.deepEqual(
    lost?.map(({ address }) => address),
    ['10.7.7.7'],
  );
});

test('a port that only accepts ESP yet is sent to in the clear, lost or not', (t) => {
  const phases = new Map([['p', 'accept' as const]]);
  const { content } = build({ ...web, endpointSlices: [slice('web', ['10.1.2.10'], PORTS)] }, { phases });
  t.is(content.lost?.[0]?.ports[0]?.phase, 'accept');
  const laid = planPolicies({ schema: 1, generation: 1, writtenAt: 0, ...content }, []);
  t.false(laid.some(({ selector }) => selector.dst === '10.1.2.10/32'));
});

test('an agent that confirms the address ends its being lost', (t) => {
  const endpoint = { nodeName: 'c', targetRef: { kind: 'Pod' } };
  const objects = {
    ...web,
    endpointSlices: [slice('web', ['10.1.2.10'], PORTS, endpoint), slice('web', ['10.1.2.10'], PORTS)],
    ipsecNodes: [
      {
        apiVersion: 'trapline.io/v1alpha1' as const,
        kind: 'IPsecNode' as const,
        metadata: { name: 'c' },
        status: { addressesOutside: ['10.1.2.10'] },
      },
    ],
  };
  for (const endpointSlices of [objects.endpointSlices, objects.endpointSlices.toReversed()]) {
    const { content } = build({ ...objects, endpointSlices });
    t.is(content.lost, undefined);
    t.deepEqual(
      content.endpoints.map(({ node: name }) => name),
      ['c'],
    );
  }
});
