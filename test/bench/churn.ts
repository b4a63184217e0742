import { setTimeout as sleep } from 'node:timers/promises';
import { createKubeClient, loadKubeConfig } from '../../src/kube/client.ts';
import { createAll, pod, slice } from '../helpers/kube/objects.ts';

/**
 * Pods that come and go: `node churn.js <kubeconfig> <pods a minute> <minutes> <services>`. Started in the namespace that reaches the API
 * server. Each is an endpoint of a protected service on another node, and goes when two more have come; a line of JSON for each.
 */
const [kubeconfig = '', ...words] = process.argv.slice(2);
const [perMinute = 0, minutes = 0, services = 1] = words.map(Number);
const client = createKubeClient(loadKubeConfig(kubeconfig));
const pathOf = (name: string): string => `/apis/discovery.k8s.io/v1/namespaces/ns/endpointslices/${name}`;

/** `at`: when the API server is asked; `ms`: until it has answered. */
const timed = async (what: 'comes' | 'goes', index: number, ask: () => Promise<unknown>): Promise<void> => {
  const at = Date.now();
  await ask();
  process.stdout.write(`${JSON.stringify({ what, address: addressOf(index), at, ms: Date.now() - at })}\n`);
};
const addressOf = (index: number): string => `10.64.${index & 255}.200`;

for (let index = 0; index < perMinute * minutes; index += 1) {
  const service = `s-${index % services}`;
  const nodeName = `n-${index & 255}`;
  await createAll(client, [pod('ns', `churn-${index}`, nodeName, { app: service })]);
  const created = slice('ns', `churn-${index}`, { service, address: addressOf(index), nodeName, port: 80 });
  await timed('comes', index, () => createAll(client, [created]));
  await sleep(30_000 / perMinute);
  if (index >= 2) {
    const path = pathOf(`churn-${index - 2}`);
    await timed('goes', index - 2, () => client.request({ method: 'DELETE', path }));
  }
  await sleep(30_000 / perMinute);
}
