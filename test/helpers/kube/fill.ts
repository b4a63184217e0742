import { createKubeClient, loadKubeConfig } from '../../../src/kube/client.ts';
import { createAll, namespace, node, service, slice } from './objects.ts';

/**
 * Fills an API server: `node fill.js <kubeconfig> <nodes> <services> <of them with endpoints>`. Started in the namespace that
 * reaches it.
 */
const [kubeconfig, nodes = 0, services = 0, served = 0] = process.argv
  .slice(2)
  .map((word, index) => (index === 0 ? word : Number(word))) as [string, number, number, number];
const client = createKubeClient(loadKubeConfig(kubeconfig));
await createAll(client, [namespace('ns')]);
const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index);
await createAll(
  client,
  numbers(nodes).map((index) =>
    node(`n-${index}`, `10.${64 + (index >> 8)}.${index & 255}.0/24`, `172.16.${index >> 8}.${index & 255}`),
  ),
);
await createAll(
  client,
  numbers(services).map((index) => service('ns', `s-${index}`, [{ port: 80 }])),
);
await createAll(
  client,
  numbers(served).flatMap((index) =>
    numbers(3).map((replica) => {
      const on = (index * 3 + replica) % nodes;
      const address = `10.${64 + (on >> 8)}.${on & 255}.${10 + replica}`;
      return slice('ns', `s-${index}-${replica}`, {
        service: `s-${index}`,
        address,
        nodeName: `n-${on}`,
        port: 80,
      });
    }),
  ),
);
