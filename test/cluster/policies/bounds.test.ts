import test from 'ava';
import type { Model } from '../../../src/agent/model/types.ts';
import { BOUNDS } from '../../../src/cluster/bounds.ts';
import type { EndpointSlice, Service } from '../../../src/cluster/objects.ts';
import { boundSlices } from '../../../src/cluster/policies/bounded-slices.ts';
import { parsePorts } from '../../../src/cluster/policies/ports.ts';
import { parseObject } from '../../../src/cluster/sources/parse-object.ts';
import type { NodeCacheContent } from '../../../src/rundir/schema.ts';
import { build, messages } from '../../helpers/unit/model.ts';
import { item, node, policy, service, slice } from '../../helpers/unit/objects.ts';

const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index);
const addresses = (count: number, high: number): string[] =>
  numbers(count).map((index) => `10.${high}.${index >> 8}.${index & 255}`);
const ports = (count: number): { target: number }[] => numbers(count).map((index) => ({ target: index + 1 }));
const IN_B = { nodeName: 'b', targetRef: { kind: 'Pod' } };
const made = <T extends EndpointSlice | Service>(object: T, creationTimestamp: string): T => ({
  ...object,
  metadata: { ...object.metadata, creationTimestamp },
});

test('of a Service with too many addresses those of the oldest slices count, whatever the order', (t) => {
  const slices = numbers(8).map((index) =>
    made(
      slice('web', addresses(1_000, index), [{ port: 80 }], {}, `web-${8 - index}`),
      `2026-01-0${index + 1}T00:00:00Z`,
    ),
  );
  const { slices: kept, excess } = boundSlices(slices, ports(1));
  t.deepEqual(
    kept.map(({ endpoints }) => endpoints?.length),
    [1_000, 1_000, 1_000, 1_000, 1_000, 0, 0, 0],
  );
  t.is(kept[0], slices[0]);
  t.deepEqual(boundSlices([...slices].reverse(), ports(1)).slices, kept);
  t.regex(excess, /^8000 addresses are too many for 1 protected ports, only the first 5000 count/);
});

test('the more ports are protected, the fewer addresses are listed one by one', (t) => {
  const [whole] = [slice('web', addresses(1_000, 1), [{ port: 80 }])];
  t.deepEqual(boundSlices([whole], ports(20)), {
    slices: [whole],
    rest: [],
    beyond: false,
    excess: '',
    used: { pairs: 20_000, whole: 0 },
  });
  const { slices } = boundSlices([whole], ports(200));
  t.is(slices[0]?.endpoints?.length, BOUNDS.pairsPerService / 200);
});

test('a Service with too many addresses leaves the rest to what is unlisted, and says so', (t) => {
  const ports = [{ port: 80 }];
  const endpointSlices = numbers(6).map((index) =>
    slice('web', addresses(1_000, 64 + index), ports, IN_B, `web-${index}`),
  );
  const other = slice('api', ['10.1.2.7'], [{ port: 81 }]);
  const model = build({
    services: [service('web', ports), service('api', [{ port: 81 }])],
    policies: [policy('p', item('web', 'tcp/80'), item('api', 'tcp/81'))],
    endpointSlices: [...endpointSlices, other],
  });
  t.true(model.content.endpoints.some(({ address }) => address === '10.1.2.7'));
  t.true(model.content.endpoints.length <= BOUNDS.addressesPerService + 1);
  t.deepEqual(
    model.content.unlisted?.map(({ port }) => port),
    [80, 81],
  );
  t.true(messages(model).some((text) => /^IPsecPolicy p: ns\/web: 6000 addresses are too many/.test(text)));
});

const many = numbers(6).map((index) =>
  slice('web', addresses(1_000, 64 + index), [{ port: 80 }], IN_B, `web-${index}`),
);
// The node b has all these addresses.
const nodes = [
  node('a'),
  node('b', { spec: { podCIDRs: numbers(16).map((index) => `10.${64 + index}.0.0/16`) } }),
];

test('what is beyond the bound of addresses is protected with CIDRs even if unlisted endpoints are not', (t) => {
  const unlisted = (endpointSlices: EndpointSlice[]): unknown =>
    build(
      {
        nodes,
        services: [service('web', [{ port: 80 }]), service('api', [{ port: 81 }])],
        policies: [policy('p', item('web', 'tcp/80'), item('api', 'tcp/81'))],
        endpointSlices,
      },
      { protectUnlisted: false },
    ).content.unlisted;
  t.deepEqual(unlisted(many), [{ proto: 'tcp', port: 80, child: 'tcp_web' }]);
  t.deepEqual(unlisted(many.slice(1)), []);
  const parsed = parseObject(slice('web', addresses(1_001, 64), [{ port: 80 }], IN_B));
  t.true(typeof parsed === 'object' && parsed.list === 'endpointSlices');
  const { object } = parsed as { object: EndpointSlice };
  t.deepEqual(unlisted([object]), [{ proto: 'tcp', port: 80, child: 'tcp_web' }]);
});

test('whole protocols are protected address by address beyond the bound', (t) => {
  const model = (endpointSlices: EndpointSlice[]): Model =>
    build({
      nodes,
      services: [service('web', [{ port: 80 }])],
      policies: [policy('p', item('web', 'tcp/*,udp/5'))],
      endpointSlices,
    });
  const { content } = model(many);
  t.is(content.endpoints.length, 6_000);
  t.true(content.endpoints.every(({ ports: [first] }) => first?.child === 'pods_tcp'));
  const huge = numbers(46).map((index) =>
    slice('web', addresses(1_000, 64 + index), [{ port: 80 }], IN_B, `web-${index}`),
  );
  const [said] = messages(model(huge)).filter((text) => text.includes('ns/web: 46000 addresses'));
  t.regex(said ?? '', /; 1000 addresses are not protected where a protocol is protected as a whole$/);
});

test('the Services of an item for a whole namespace have room together, the oldest first', (t) => {
  const services = numbers(40).map((index) =>
    made(service(`s-${40 - index}`, [{ port: 80 }]), `2026-01-01T00:00:${10 + index}Z`),
  );
  const endpointSlices = services.map(({ metadata: { name } }, index) =>
    slice(
      name,
      addresses(1_000, 64).map((one) =>
        one.replace('10.64', `fd00:64:0:${index}:`).replaceAll(/\.(\d+)/g, ':$1'),
      ),
      [{ port: 80 }],
      IN_B,
      name,
    ),
  );
  const objects = {
    nodes: [node('a'), node('b', { spec: { podCIDRs: ['fd00:64::/48', '10.1.2.0/24'] } })],
    services,
    policies: [policy('p', item('all', 'tcp/80', { servicename: '*' }))],
    endpointSlices,
  };
  const model = build(objects, { protectUnlisted: false });
  t.is(model.content.endpoints.length, BOUNDS.pairsPerItem);
  t.true(model.content.endpoints.some(({ address }) => address.startsWith('fd00:64::')));
  t.deepEqual(
    model.content.unlisted?.map(({ proto, port }) => [proto, port]),
    [['tcp', 80]],
  );
  t.true(
    messages(model).some((text) =>
      /^IPsecPolicy p: item all: the Services of ns .* of 10 of them/.test(text),
    ),
  );
});

test('ports for which their whole protocol stands stay numbers of unlisted endpoints', (t) => {
  const listed = (count: number): NodeCacheContent['unlisted'] =>
    build({
      services: [
        service(
          'web',
          numbers(count).map((index) => ({ name: `p${index}`, port: index + 1 })),
        ),
      ],
      policies: [policy('p', item('web', 'tcp/1-65535'))],
    }).content.unlisted;
  t.is(listed(256)?.length, 256);
  t.is(listed(257)?.length, 257);
  t.true(listed(257)?.every(({ child }) => child === 'pods_tcp'));
  t.is(listed(500)?.length, BOUNDS.portsPerObject);
});

test('a range that means too many ports of a Service protects all of the protocol there', (t) => {
  const many = numbers(BOUNDS.portsPerService + 1).map((index) => ({ name: `p${index}`, port: index + 1 }));
  const model = (ports: typeof many) =>
    build({
      services: [service('web', [...ports, { name: 'udp', port: 9, protocol: 'UDP' }])],
      policies: [policy('p', item('web', 'tcp/1-65535,udp/9'))],
    });
  t.is(model(many.slice(1)).content.entries[0]?.ports.length, BOUNDS.portsPerService + 1);
  const coarse = model(many);
  t.deepEqual(coarse.content.entries[0]?.ports, [
    { proto: 'tcp', target: 0 },
    { proto: 'udp', target: 9 },
  ]);
  t.deepEqual(messages(coarse), [
    'IPsecPolicy p: more than 256 ports of ns/web are of tcp: all ports of tcp are protected there',
  ]);
});

test('a target port of 0 is the port, not every port', (t) => {
  for (const targetPort of [0, '']) {
    const { content } = build({
      services: [service('web', [{ port: 80, targetPort }])],
      policies: [policy('p', item('web', 'tcp/80'))],
    });
    t.deepEqual(content.entries[0]?.ports, [{ proto: 'tcp', target: 80 }]);
  }
});

test('a wildcard covers the oldest Services, up to the bound', (t) => {
  const services = numbers(BOUNDS.servicesPerWildcard + 1).map((index) =>
    made(service(`s-${String(index).padStart(4, '0')}`, [{ port: 80 }]), `2026-01-${index === 0 ? 2 : 1}`),
  );
  const model = build({ services, policies: [policy('p', item('all', 'tcp/80', { servicename: '*' }))] });
  t.is(model.content.entries.length, BOUNDS.servicesPerWildcard);
  t.false(model.content.entries.some(({ service: of }) => of === 's-0000'));
  t.deepEqual(messages(model), [
    'IPsecPolicy p: item all: 1001 Services of ns are too many, only the oldest 1000 are protected',
    'IPsecPolicy p: item all: 1000 Services, of which at most 64 could have CHILD_SAs of their own: they share those of all_ns',
  ]);
});

test('an item has one problem for a port that many Services lack', (t) => {
  const services = numbers(999).map((index) =>
    service(`s-${String(index).padStart(3, '0')}`, [{ port: 81 }]),
  );
  const said = (ports: string, of = services): string[] =>
    messages(
      build({ services: of, policies: [policy('p', item('all', ports, { servicename: '*' }))] }),
    ).filter((text) => text.includes('PortNotFound'));
  t.deepEqual(said('tcp/80'), [
    'IPsecPolicy p: PortNotFound: 999 Services of ns have no port tcp/80, e.g. s-000',
  ]);
  const many = said('tcp/1,tcp/2,tcp/3,tcp/4,tcp/5');
  t.is(many.length, 1);
  t.regex(many[0] ?? '', /999 Services of ns have no port tcp\/3, e\.g\. s-000; and 2 ports more$/);
  t.deepEqual(said('tcp/1,tcp/2,tcp/3,tcp/4', services.slice(0, 1)), [
    'IPsecPolicy p: PortNotFound: tcp/1, tcp/2, tcp/3 and 1 more are neither service ports nor target ports of ns/s-000',
  ]);
});

test('an item of too many ports is refused with the bound', (t) => {
  const text = (count: number): string =>
    numbers(count)
      .map((index) => `tcp/${index + 1}`)
      .join();
  t.is(parsePorts(text(BOUNDS.specsPerItem)).kind, 'ok');
  t.deepEqual(parsePorts(text(BOUNDS.specsPerItem + 1)), {
    kind: 'refused',
    reason: 'has 257 ports, more than 256: use ranges, or several items',
  });
});
