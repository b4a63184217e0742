import { createKubeClient, loadKubeConfig } from '../../src/kube/client.ts';
import { createAll, pod, slice } from '../helpers/kube/objects.ts';

/** Pods of `node-a`: `node local-pods.js <kubeconfig> <pods> <of them, pods of protected services>`. */
const [kubeconfig = '', ...words] = process.argv.slice(2);
const [pods = 0, serving = 0] = words.map(Number);
const client = createKubeClient(loadKubeConfig(kubeconfig));
const numbers = Array.from({ length: pods }, (_, index) => index);
const serves = (index: number): boolean => index < serving;
await createAll(
  client,
  numbers.map((index) =>
    pod('ns', `local-${index}`, 'node-a', { app: serves(index) ? `s-${index}` : `app-${index}` }),
  ),
);
await createAll(
  client,
  numbers.filter(serves).map((index) =>
    slice('ns', `local-${index}`, {
      service: `s-${index}`,
      address: `10.244.1.${index + 2}`,
      nodeName: 'node-a',
      port: 80,
    }),
  ),
);
