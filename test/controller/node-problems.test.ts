import test from 'ava';
import { pino } from 'pino';
import { createEventLimit } from '../../src/controller/event-limit.ts';
import { type AnnouncedNodes, announceNodes } from '../../src/controller/node-problems.ts';
import type { KubeClient, KubeRequest } from '../../src/kube/client.ts';
import { node } from '../helpers/unit/objects.ts';

test('an Event about a Node of which something is refused, once', async (t) => {
  const written: { regarding: { name: string; uid: string }; note: string }[] = [];
  const client = {
    request: async ({ body }: KubeRequest) => void written.push(body as (typeof written)[number]),
  } as unknown as KubeClient;
  const options = {
    client,
    identity: 'c',
    now: () => 0,
    log: pino({ level: 'silent' }),
    mayWrite: createEventLimit(() => 0),
  };
  const announced: AnnouncedNodes = new Map();
  const seeing = async (podCIDRs: string[]): Promise<string[]> => {
    const b = node('b', { metadata: { name: 'b', uid: 'u' }, spec: { podCIDRs } });
    await announceNodes(options, { nodes: [node('a'), b, node('c', { spec: {} })] }, announced);
    return written
      .splice(0)
      .map(({ regarding, note }) => `${regarding.name} ${regarding.uid}: ${note.slice(0, 46)}`);
  };
  t.deepEqual(await seeing(['10.1.2.0/24']), [], 'a Node without a pod CIDR yet is no news');
  const said = 'b u: spec.podCIDRs: "10.1.1.0/25" is refused: 10.1.';
  t.deepEqual(await seeing(['10.1.2.0/24', '10.1.1.0/25']), [said]);
  t.deepEqual(await seeing(['10.1.2.0/24', '10.1.1.0/25']), []);
  t.deepEqual(await seeing(['10.1.2.0/24']), []);
  t.deepEqual(await seeing(['10.1.2.0/24', '10.1.1.0/25']), [said]);
});
