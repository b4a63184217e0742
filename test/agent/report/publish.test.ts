import test from 'ava';
import { pino } from 'pino';
import { createPublisher, type NodeReport } from '../../../src/agent/report/publish.ts';
import type { KubeClient, KubeRequest } from '../../../src/kube/client.ts';

const REPORT: NodeReport = {
  addresses: ['192.0.2.11'],
  podCidrs: ['10.244.1.0/24'],
  policies: [{ name: 'p', uid: 'u', generation: 1, phase: 'require' }],
  xfrmPolicies: 12,
  ikeSas: 1,
  childSas: 2,
  certificate: null,
  failures: [{ peer: 'node-b', reason: 'no answer' }],
  problems: [],
  error: '',
};

test('policies, health and failing peers are written at once, counts and reasons can wait', async (t) => {
  const written: unknown[] = [];
  const client = {
    request: async ({ method, body }: KubeRequest) => {
      if (method === 'PATCH') {
        written.push((body as { status: { xfrmPolicies: unknown } }).status.xfrmPolicies);
      }
      return {};
    },
  } as KubeClient;
  const publisher = createPublisher({
    client,
    nodeName: 'node-a',
    bootId: 'boot',
    version: '1',
    now: () => 0,
    sleep: async () => undefined,
    log: pino({ level: 'silent' }),
  });
  const stop = new AbortController();
  publisher.publish(REPORT);
  const running = publisher.run(stop.signal);
  const saying = async (report: Partial<NodeReport>): Promise<unknown[]> => {
    publisher.publish({ ...REPORT, ...report });
    await new Promise((resolve) => setTimeout(resolve, 20));
    return written.splice(0);
  };
  t.deepEqual(await saying({}), [12]);
  t.deepEqual(await saying({ xfrmPolicies: 13, ikeSas: 2, childSas: 3 }), []);
  t.deepEqual(await saying({ failures: [{ peer: 'node-b', reason: 'refused' }] }), []);
  t.deepEqual(await saying({ xfrmPolicies: 14, failures: [] }), [14]);
  t.deepEqual(await saying({ xfrmPolicies: 15, failures: [], error: 'no' }), [15]);
  t.deepEqual(await saying({ xfrmPolicies: 16, policies: [] }), [16]);
  stop.abort();
  await running;
});
