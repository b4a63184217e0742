import test from 'ava';
import { createEnabling } from '../../../src/agent/enabling/enabling.ts';
import type { IPsecPolicy } from '../../../src/cluster/objects.ts';
import { policy as anyPolicy } from '../../helpers/unit/objects.ts';

const LIMIT_MS = 5_000;

const policy = (generation: number, status?: IPsecPolicy['status'], uid = 'u'): IPsecPolicy => ({
  ...anyPolicy({ name: 'p', generation, ...(uid === '' ? {} : { uid }) }),
  status,
});

const told = (
  phase: 'Accepting' | 'Sending' | 'Required',
  observedGeneration = 1,
): IPsecPolicy['status'] => ({
  observedGeneration,
  phase,
});

test('a policy that appears accepts first, then follows its status', (t) => {
  const enabling = createEnabling(true, LIMIT_MS, () => 0);
  const phase = (given: IPsecPolicy): string | undefined => enabling.phases([given]).get('p');
  t.is(phase(policy(1)), 'accept');
  t.is(phase(policy(1, told('Accepting'))), 'accept');
  t.is(phase(policy(1, told('Sending'))), 'send');
  t.is(phase(policy(1, told('Required'))), 'require');
  t.is(phase(policy(2, told('Required'))), 'accept', 'the status is that of the generation before');
});

test('without a word from the controller it is required after three of its limits', (t) => {
  let now = 1_000;
  const enabling = createEnabling(true, LIMIT_MS, () => now);
  t.is(enabling.phases([policy(1)]).get('p'), 'accept');
  now += 3 * LIMIT_MS - 1;
  t.is(enabling.phases([policy(1, told('Sending'))]).get('p'), 'send');
  now += 1;
  t.is(enabling.phases([policy(1, told('Sending'))]).get('p'), 'require');
  t.is(enabling.phases([policy(2)]).get('p'), 'accept', 'a new generation has its own time');
});

test('what a node without memory finds is required at once, what comes later is not', (t) => {
  const enabling = createEnabling(false, LIMIT_MS, () => 10 * LIMIT_MS);
  t.is(enabling.phases([policy(1, told('Accepting'))]).get('p'), 'require');
  t.is(enabling.phases([policy(2)]).get('p'), 'accept');
});

test('from files, a policy is required at once', (t) => {
  t.is(
    createEnabling(true, LIMIT_MS, () => 0)
      .phases([policy(1, undefined, '')])
      .get('p'),
    'require',
  );
});
