import test from 'ava';
import { BOUNDS } from '../../../src/cluster/bounds.ts';
import { firstOf } from '../../../src/util/printable.ts';
import { build, messages } from '../../helpers/unit/model.ts';
import { item, node, policy, service, slice } from '../../helpers/unit/objects.ts';

const LONG = 'x\n'.repeat(2_500);

test('no problem is long or has line ends, whatever somebody writes', (t) => {
  const items = [
    item(LONG, 'tcp/80'),
    item('a', 'tcp/80', { servicename: LONG }),
    item('b', 'tcp/80', { servicens: LONG }),
    item('c', 'tcp/80', { servicens: '*', servicename: 'd'.repeat(60) }),
    ...[
      LONG,
      `tcp/${LONG}`,
      `tcp/9-${LONG}`,
      `tcp/1/${LONG}`,
      `${LONG}/1`,
      `tcp/9-8${' '.repeat(5_000)}`,
    ].map((ports, index) => item(`p${index}`, ports)),
  ];
  const said = messages(
    build({
      nodes: [
        node('a'),
        node('b', { spec: { podCIDRs: [LONG] } }),
        node('c', {
          spec: { podCIDRs: Array.from({ length: 300 }, (_, index) => `10.1.1.${index % 256}/32`) },
        }),
      ],
      services: [service('web', [{ port: 80 }])],
      endpointSlices: [slice('web', [LONG], [{ port: 80 }])],
      policies: [policy('p', ...items, item('web', 'tcp/80'))],
    }),
  );
  t.true(said.length > items.length, `${said.length}`);
  t.deepEqual(
    said.filter((text) => text.length > BOUNDS.charactersPerProblem || text.includes('\n')),
    [],
  );
});

test('what a broken policy keeps is named up to a number', (t) => {
  const names = Array.from({ length: 900 }, (_, index) => `item-${index}`);
  const services = [service('web', [{ port: 80 }])];
  const web = names.map((name) => item(name, 'tcp/80', { servicename: 'web' }));
  const { knownItems } = build({ services, policies: [policy('p', ...web)] });
  const said = messages(build({ services, policies: [policy('p', item('Bad', ''))] }, { knownItems }));
  t.true(
    said.some((text) =>
      text.startsWith(
        'IPsecPolicy p: spec.policies: item-0, item-1, item-2, item-3, item-4 and 895 more: not',
      ),
    ),
  );
});

test('a list is named up to a number of elements', (t) => {
  t.is(firstOf(['a', 'b'], 2), 'a, b');
  t.is(firstOf(['a', 'b', 'c'], 2), 'a, b and 1 more');
});
