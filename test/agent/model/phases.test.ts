import test from 'ava';
import type { Model } from '../../../src/agent/model/types.ts';
import type { Phase } from '../../../src/ipsec/plan/types.ts';
import { build } from '../../helpers/unit/model.ts';
import { item, policy, service, slice } from '../../helpers/unit/objects.ts';

const objects = (ports: string, more: object[] = []) => ({
  services: [
    service('web', [
      { port: 80, name: 'http' },
      { port: 90, name: 'more' },
    ]),
  ],
  endpointSlices: [slice('web', ['10.1.2.5'], [{ name: 'http', port: 80, protocol: 'TCP' }])],
  policies: [policy('p', item('web', ports), ...more)],
});
const modelled = (ports: string, phase: Phase, previous: Model['content'] | null = null): Model['content'] =>
  build(objects(ports), { phases: new Map([['p', phase]]), previous }).content;
const phasesOf = ({ entries, endpoints, unlisted }: Model['content']): unknown => ({
  entry: entries[0]?.ports.map(({ target, phase }) => `${target} ${phase ?? 'require'}`),
  endpoint: endpoints[0]?.ports.map(({ port, phase }) => `${port} ${phase ?? 'require'}`),
  unlisted: unlisted?.map(({ port, phase }) => `${port} ${phase ?? 'require'}`),
});
const all = (phase: Phase, ...ports: number[]): unknown => {
  const each = ports.map((port) => `${port} ${phase}`);
  return { entry: each, endpoint: each, unlisted: each };
};

test('ports are in the phase of their policy, wherever they are', (t) => {
  t.deepEqual(phasesOf(modelled('tcp/80', 'accept')), all('accept', 80));
  t.deepEqual(phasesOf(modelled('tcp/80', 'send')), all('send', 80));
  t.deepEqual(phasesOf(modelled('tcp/80', 'require')), all('require', 80));
  t.deepEqual(phasesOf(build(objects('tcp/80')).content), all('require', 80), 'nobody tells a phase');
});

test('a port that is added goes through the phases, those of before stay required', (t) => {
  const before = modelled('tcp/80', 'require');
  const ports = ['80 require', '90 accept'];
  t.deepEqual(phasesOf(modelled('tcp/80,tcp/90', 'accept', before)), {
    entry: ports,
    endpoint: ports,
    unlisted: ports,
  });
});

test('no port goes back', (t) => {
  const sending = modelled('tcp/80', 'send');
  t.deepEqual(phasesOf(modelled('tcp/80', 'accept', sending)), all('send', 80));
});

test('of two policies that name one port the one that is further decides', (t) => {
  const given = objects('tcp/80');
  const two = { ...given, policies: [...given.policies, policy('q', item('web', 'tcp/80'))] };
  const { content } = build(two, {
    phases: new Map([
      ['p', 'accept'],
      ['q', 'send'],
    ]),
  });
  t.deepEqual(phasesOf(content), all('send', 80));
});

test('the mesh goes through the phases, unless single services were protected before', (t) => {
  const mesh = [policy('p', item('all', '*', { servicename: '*', servicens: '*' }))];
  const phases = new Map<string, Phase>([['p', 'accept']]);
  const phase = (previous: Model['content'] | null): unknown =>
    build({ policies: mesh }, { phases, previous }).content.meshPhase;
  t.is(phase(null), 'accept');
  t.is(phase(modelled('tcp/80', 'require')), undefined);
  const sending = build({ policies: mesh }, { phases: new Map([['p', 'send']]) }).content;
  t.is(phase(sending), 'send');
});

test('unlisted ports are numbers that are protected anywhere; whole protocols are not among them', (t) => {
  t.deepEqual(build(objects('tcp/80')).content.unlisted, [{ proto: 'tcp', port: 80, child: 'tcp_web' }]);
  t.deepEqual(build(objects('tcp/*')).content.unlisted, []);
  t.deepEqual(build(objects('tcp/80'), { protectUnlisted: false }).content.unlisted, []);
});

test('a port of two entries stays in the child that is required while the other is being enabled', (t) => {
  const ports = [{ port: 80, name: 'http' }];
  const two = {
    services: [service('new', ports), service('web', ports)],
    endpointSlices: ['new', 'web'].map((name) => slice(name, ['10.1.2.5'], [{ name: 'http', port: 80 }])),
    policies: [policy('a', item('new', 'tcp/80')), policy('z', item('web', 'tcp/80'))],
  };
  const childrenIn = (phase: Phase): unknown => {
    const { content } = build(two, { phases: new Map([['a', phase]]) });
    return [content.unlisted?.[0], content.endpoints[0]?.ports[0]].map((port) => [port?.child, port?.phase]);
  };
  t.deepEqual(childrenIn('accept'), [
    ['tcp_web', undefined],
    ['tcp_web', undefined],
  ]);
  t.deepEqual(childrenIn('require'), [
    ['tcp_new', undefined],
    ['tcp_new', undefined],
  ]);
});
