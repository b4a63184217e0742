import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { KubeConfig } from '@kubernetes/client-node/dist/config.js';
import test, { type ExecutionContext } from 'ava';
import { createKubeClient, type KubeClient, type WatchEvent } from '../../src/kube/client.ts';

async function clientOf(t: ExecutionContext, answer: RequestListener): Promise<KubeClient> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const config = new KubeConfig();
  const { port } = server.address() as AddressInfo;
  config.loadFromClusterAndUser(
    { name: 'c', server: `http://127.0.0.1:${port}`, skipTLSVerify: true },
    { name: 'u' },
  );
  return createKubeClient(config, { silenceMs: 300 });
}

const ADDED = { type: 'ADDED', object: { metadata: { name: 'a', resourceVersion: '1' } } };

test('a watch that has been silent for long ends without an error', async (t) => {
  const client = await clientOf(t, (_, response) => void response.write(`${JSON.stringify(ADDED)}\n`));
  const events: WatchEvent[] = [];
  for await (const event of client.watch({ path: '/api/v1/nodes' }, () => undefined)) {
    events.push(event);
  }
  t.deepEqual(events, [ADDED]);
});

test('a watch whose connection breaks ends with an error', async (t) => {
  const client = await clientOf(t, (_, response) => {
    response.write(`${JSON.stringify(ADDED)}\n`);
    setTimeout(() => response.destroy(), 50);
  });
  const watch = client.watch({ path: '/api/v1/nodes' }, () => undefined)[Symbol.asyncIterator]();
  t.deepEqual((await watch.next()).value, ADDED);
  await t.throwsAsync(watch.next(), { name: 'KubeError', message: /^\/api\/v1\/nodes: / });
});
