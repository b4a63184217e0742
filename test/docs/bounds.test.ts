import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { BOUNDS } from '../../src/cluster/bounds.ts';
import { ROOT } from '../helpers/unit/root.ts';

test('docs/trust.md names every bound', (t) => {
  const [, bounds = ''] = readFileSync(join(ROOT, 'docs/trust.md'), 'utf8').split('\n## Bounds\n');
  const named = new Set([...bounds.matchAll(/`(\w+)`/g)].map(([, name]) => name));
  t.deepEqual(
    Object.keys(BOUNDS).filter((name) => !named.has(name)),
    [],
  );
});

test('docs/trust.md says nothing that is still to be verified', (t) => {
  t.notRegex(readFileSync(join(ROOT, 'docs/trust.md'), 'utf8'), /to verify/);
});
