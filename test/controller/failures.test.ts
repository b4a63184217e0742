import test from 'ava';
import { pino } from 'pino';
import { ipsecNodeSchema } from '../../src/cluster/contract/node-status.ts';
import { createEventLimit } from '../../src/controller/event-limit.ts';
import { type Announced, announceFailures } from '../../src/controller/failures.ts';
import type { KubeClient, KubeRequest } from '../../src/kube/client.ts';

interface Written {
  readonly type: string;
  readonly reason: string;
  readonly note: string;
}

test('an Event for each reason that is new, and one when all negotiations succeed', async (t) => {
  const written: Written[] = [];
  const client = {
    request: async ({ body }: KubeRequest) => void written.push(body as Written),
  } as unknown as KubeClient;
  const options = {
    client,
    identity: 'c',
    now: () => 0,
    log: pino({ level: 'silent' }),
    mayWrite: createEventLimit(() => 0),
  };
  const announced: Announced = new Map();
  const failing = async (reasons: Readonly<Record<string, string>>): Promise<string[]> => {
    const failures = Object.entries(reasons).map(([peer, reason]) => ({ peer, reason }));
    const node = ipsecNodeSchema.parse({ metadata: { name: 'a', uid: 'u' }, status: { failures } });
    await announceFailures(options, [node], announced);
    return written.splice(0).map(({ type, reason, note }) => `${type} ${reason}: ${note}`);
  };
  t.deepEqual(await failing({}), []);
  t.deepEqual(await failing({ b: 'no answer' }), ['Warning NegotiationFailed: b: no answer']);
  t.deepEqual(await failing({ b: 'no answer' }), []);
  t.deepEqual(await failing({ b: 'refused', c: 'no answer' }), [
    'Warning NegotiationFailed: b: refused',
    'Warning NegotiationFailed: c: no answer',
  ]);
  t.deepEqual(await failing({ c: 'no answer' }), []);
  t.deepEqual(await failing({}), ['Normal Negotiated: every negotiation that failed has succeeded since']);
});
