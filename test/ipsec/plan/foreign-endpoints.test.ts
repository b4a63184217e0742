import test from 'ava';
import { attachedAddresses, localAddresses } from '../../../src/ipsec/plan/served.ts';
import { corednsAttachment, seedCache } from '../../helpers/unit/cache.ts';

const [address = ''] = corednsAttachment.addresses;
const port = { proto: 'tcp', port: 6443, child: 'tcp_x' } as const;
const cacheWith = (namespace: string | undefined) =>
  seedCache({
    localEndpoints: [
      { address, host: false, ports: [port], ...(namespace === undefined ? {} : { namespace }) },
    ],
  });
const client = { pod: { namespace: 'default', name: 'client', uid: 'uid-2' }, addresses: [address] };

const ports = test.macro<[namespace: string | undefined, attachment: typeof client, adds: boolean]>(
  (t, namespace, attachment, adds) => {
    const cache = cacheWith(namespace);
    const all = [
      ...attachedAddresses(cache, attachment),
      ...localAddresses(cache, [attachment]).filter((one) => one.address === address),
    ];
    t.deepEqual(
      all.map((one) => one.ports.some((each) => each.port === 6443)),
      [adds, adds],
    );
  },
);
test(
  'another namespace adds nothing at the address that the record of a protected pod has',
  ports,
  'default',
  corednsAttachment,
  false,
);
test('its own namespace does', ports, 'kube-system', corednsAttachment, true);
test('so does a cache that says no namespace', ports, undefined, corednsAttachment, true);
test('where the pod is not protected, any namespace does', ports, 'kube-system', client, true);
