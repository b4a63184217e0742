import test from 'ava';
import { bootIdsOf, rebooted } from '../../../src/agent/loop/rebooted.ts';
import type { Node } from '../../../src/cluster/objects.ts';
import { node as anyNode } from '../../helpers/unit/objects.ts';

const node = (name: string, bootID?: string): Node =>
  anyNode(name, { status: { nodeInfo: bootID === undefined ? {} : { bootID } } });

test('a node has booted when it tells another boot ID than before', (t) => {
  const before = bootIdsOf([node('a', '1'), node('b', '1'), node('c'), node('d', '1')]);
  const now = bootIdsOf([node('a', '2'), node('b', '1'), node('c', '1'), node('d'), node('e', '1')]);
  t.deepEqual(rebooted(before, now), ['a']);
});
