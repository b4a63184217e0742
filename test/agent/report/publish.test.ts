import test from 'ava';
import { pino } from 'pino';
import type { NodeReport } from '../../../src/agent/report/node-report.ts';
import { createPublisher, type Publisher } from '../../../src/agent/report/publish.ts';
import { nodeStatusSchema } from '../../../src/cluster/contract/node-status.ts';
import type { KubeClient, KubeRequest } from '../../../src/kube/client.ts';

const REPORT: NodeReport = {
  addresses: ['192.0.2.11'],
  podCidrs: ['10.244.1.0/24'],
  addressesOutside: [],
  policies: [{ name: 'p', uid: 'u', generation: 1, reached: 'require' }],
  xfrmPolicies: 12,
  ikeSas: 1,
  childSas: 2,
  certificate: null,
  failures: [{ peer: 'node-b', reason: 'no answer' }],
  problems: [],
  error: '',
};

const publisherWith = (client: KubeClient): Publisher =>
  createPublisher({
    client,
    nodeName: 'node-a',
    bootId: 'boot',
    version: '1',
    now: () => 0,
    sleep: async () => undefined,
    log: pino({ level: 'silent' }),
  });

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
  const publisher = publisherWith(client);
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

/** The bodies of all writes, where the API server has `stored` at the start. */
const bodiesOf = async (given: readonly NodeReport[], stored: unknown): Promise<string[]> => {
  const bodies: string[] = [];
  const client = {
    request: async ({ method, body }: KubeRequest) =>
      method === 'PATCH' ? void bodies.push(JSON.stringify(body)) : stored,
  } as KubeClient;
  const publisher = publisherWith(client);
  const stop = new AbortController();
  const running = publisher.run(stop.signal);
  for (const report of given) {
    publisher.publish(report);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  stop.abort();
  await running;
  return bodies;
};

test('what is written is what the contract says, byte for byte', async (t) => {
  const certificate = { notBefore: new Date(0), notAfter: new Date(1), root: 'f0', trusted: ['f0'] };
  const policies = [
    { name: 'p', uid: 'u', generation: 1, reached: 'none' },
    { name: 'q', uid: 'v', generation: 2, reached: 'send' },
  ] as const;
  const [body = ''] = await bodiesOf([{ ...REPORT, policies, certificate, error: 'no charon' }], {});
  t.is(
    body,
    '{"apiVersion":"trapline.io/v1alpha1","kind":"IPsecNode","metadata":{"name":"node-a"},"status":{' +
      '"addresses":["192.0.2.11"],"podCIDRs":["10.244.1.0/24"],"bootID":"boot","agentVersion":"1",' +
      '"observedPolicies":[{"name":"p","uid":"u","generation":1},' +
      '{"name":"q","uid":"v","generation":2,"phase":"send"}],' +
      '"xfrmPolicies":12,"ikeSas":1,"childSas":2,"lastHeartbeat":"1970-01-01T00:00:00.000Z",' +
      '"certificate":{"notBefore":"1970-01-01T00:00:00.000Z","notAfter":"1970-01-01T00:00:00.001Z",' +
      '"root":"f0","trusted":["f0"]},"failures":[{"peer":"node-b","reason":"no answer"}],"problems":[],' +
      '"conditions":[{"type":"Healthy","status":"False","lastTransitionTime":"1970-01-01T00:00:00.000Z",' +
      '"reason":"AgentNotInStep","message":"no charon"}]}}',
  );
  t.deepEqual(nodeStatusSchema.strict().parse(JSON.parse(body).status), JSON.parse(body).status);
});

test('the time of the last change of health and the certificate outlive the agent', async (t) => {
  const conditions = [{ type: 'Healthy', status: 'True', lastTransitionTime: '2026-11-21T12:00:00.000Z' }];
  const certificate = { notAfter: '2026-12-01T00:00:00.000Z', ofTomorrow: 1 };
  const [body = ''] = await bodiesOf([REPORT], { status: { conditions, certificate } });
  const { status } = JSON.parse(body);
  t.is(status.conditions[0].lastTransitionTime, '2026-11-21T12:00:00.000Z');
  t.deepEqual(status.certificate, certificate);
});

test('addresses outside of the pod CIDRs are told, with the label by which other agents watch', async (t) => {
  const outside = ['10.244.9.7'];
  const stored = { metadata: { uid: 'u', labels: {} } };
  const bodies = await bodiesOf([REPORT, { ...REPORT, addressesOutside: outside }, REPORT], stored);
  const said = bodies
    .map((body) => JSON.parse(body))
    .map(({ metadata, status }) => [
      metadata.labels?.['trapline.io/lends'] ?? null,
      status?.addressesOutside ?? null,
    ]);
  // Status; status and label; status, and no label any more. What gets the label keeps its owner.
  t.deepEqual(said, [
    [null, null],
    [null, outside],
    ['true', null],
    [null, null],
    [null, null],
  ]);
  const owners = bodies.filter((body) =>
    body.includes('"ownerReferences":[{"apiVersion":"v1","kind":"Node"'),
  );
  t.is(owners.length, 2);
});

test('a label that an agent before has set is taken away when nothing is lent any more', async (t) => {
  const stored = { metadata: { uid: 'u', labels: { 'trapline.io/lends': 'true' } } };
  const bodies = await bodiesOf([REPORT], stored);
  t.is(bodies.length, 2);
  t.deepEqual(Object.keys(JSON.parse(bodies[1] ?? '').metadata), ['name', 'ownerReferences']);
});
