import test from 'ava';
import { signingRequestSchema } from '../../../src/controller/keys/judge.ts';
import { fairShare } from '../../../src/controller/keys/sign.ts';

const request = (name: string, node: string) =>
  signingRequestSchema.parse({
    metadata: { name, uid: name },
    spec: {
      signerName: 's',
      request: '',
      username: 'agent',
      extra: { 'authentication.kubernetes.io/node-name': [node] },
    },
  });

test('a node that files thousands of requests keeps no other one waiting', (t) => {
  const flood = Array.from({ length: 10_000 }, (_, index) => request(`flood-${index}`, 'a'));
  const turn = fairShare([...flood, request('b', 'b'), request('c', 'c')]).map(
    ({ metadata }) => metadata.name,
  );
  t.deepEqual(turn, ['flood-0', 'flood-1', 'flood-2', 'flood-3', 'b', 'c']);
});
