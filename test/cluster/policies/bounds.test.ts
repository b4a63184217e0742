import test from 'ava';
import { BOUNDS } from '../../../src/cluster/bounds.ts';
import type { EndpointSlice, Service } from '../../../src/cluster/objects.ts';
import { boundSlices } from '../../../src/cluster/policies/bounded-slices.ts';
import { parsePorts } from '../../../src/cluster/policies/ports.ts';
import { build, messages } from '../../helpers/unit/model.ts';
import { item, policy, service, slice } from '../../helpers/unit/objects.ts';

const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index);
const addresses = (count: number, high: number): string[] =>
  numbers(count).map((index) => `10.${high}.${index >> 8}.${index & 255}`);
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
  const { slices: kept, excess } = boundSlices(slices, 1);
  t.deepEqual(
    kept.map(({ endpoints }) => endpoints?.length),
    [1_000, 1_000, 1_000, 1_000, 1_000, 0, 0, 0],
  );
  t.is(kept[0], slices[0]);
  t.deepEqual(boundSlices([...slices].reverse(), 1).slices, kept);
  t.regex(excess, /^8000 addresses are too many for 1 protected ports, only the first 5000 count/);
});

test('the more ports are protected, the fewer addresses are listed one by one', (t) => {
  const [whole] = [slice('web', addresses(1_000, 1), [{ port: 80 }])];
  t.deepEqual(boundSlices([whole], 20), { slices: [whole], excess: '' });
  const { slices } = boundSlices([whole], 200);
  t.is(slices[0]?.endpoints?.length, BOUNDS.pairsPerService / 200);
});

test('a Service with too many addresses leaves the rest to what is unlisted, and says so', (t) => {
  const ports = [{ port: 80 }];
  const endpointSlices = numbers(6).map((index) =>
    slice('web', addresses(1_000, 64 + index), ports, { nodeName: 'b' }, `web-${index}`),
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
