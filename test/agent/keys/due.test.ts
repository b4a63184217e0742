import test from 'ava';
import { renewalAt } from '../../../src/agent/keys/due.ts';

const life = { notBefore: new Date(0), notAfter: new Date(30_000) };

test('renewed at two thirds of its life, or up to a tenth of it later', (t) => {
  t.is(renewalAt(life, 0), 20_000);
  t.is(renewalAt(life, 1), 23_000);
});
