import test from 'ava';
import { BOUNDS } from '../../../src/cluster/bounds.ts';
import { build, messages } from '../../helpers/unit/model.ts';
import { item, policy } from '../../helpers/unit/objects.ts';

test('a problem has a bounded length, whatever value it quotes', (t) => {
  for (const field of ['name', 'servicename', 'servicens', 'serviceports']) {
    const policies = [policy('p', { ...item('web', 'tcp/80'), [field]: 'a'.repeat(5_000) })];
    const [problem = ''] = messages(build({ policies }));
    t.true(problem.startsWith('IPsecPolicy p: '), problem);
    t.true(problem.length < BOUNDS.charactersPerProblem + 100, `${field}: ${problem.length}`);
  }
});
