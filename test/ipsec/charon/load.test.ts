import test, { type ExecutionContext } from 'ava';
import { createCharon } from '../../../src/ipsec/charon/client.ts';
import type { ConnectionConfig } from '../../../src/ipsec/plan/types.ts';
import { MAX_PACKET_BYTES } from '../../../src/ipsec/vici/frame.ts';
import { connectVici } from '../../../src/ipsec/vici/session.ts';
import { fakeCharon } from '../../helpers/charon/fake-charon.ts';
import { connection } from '../../helpers/charon/values.ts';

/** A charon that has nothing, and refuses the connections of these names. */
async function loading(
  t: ExecutionContext,
  connections: readonly ConnectionConfig[],
  refused: readonly string[] = [],
): Promise<{ readonly loaded: readonly string[]; readonly error: Error | undefined }> {
  const loaded: string[] = [];
  const { path } = await fakeCharon(t, ({ type, name, message }, { send }) => {
    if (type !== 0) {
      send({ type: 'confirm' });
      return;
    }
    const [connectionName = ''] = name === 'load-conn' ? Object.keys(message) : [];
    if (refused.includes(connectionName)) {
      send({ type: 'response', message: { success: 'no', errmsg: 'invalid value for: local_ts' } });
      return;
    }
    loaded.push(...(name === 'load-conn' ? [connectionName] : []));
    send({ type: 'response', message: { success: 'yes' } });
  });
  const session = await connectVici({ path, timeoutMs: 5_000 });
  t.teardown(() => session.close());
  const error = await createCharon(session)
    .load(connections)
    .then(
      () => undefined,
      (cause: Error) => cause,
    );
  return { loaded, error };
}

test('a connection that charon refuses keeps no other from being loaded', async (t) => {
  const all = ['b', 'c', 'd'].map((peer) => connection(peer));
  const { loaded, error } = await loading(t, all, ['k8s-node-b']);
  t.deepEqual(loaded, ['k8s-node-c', 'k8s-node-d']);
  t.is(error?.message, 'load-conn: invalid value for: local_ts (k8s-node-b, 2 children)');
});

test('one that does not fit into a packet is told by name and size, and the others are loaded', async (t) => {
  const [child] = connection('b').children;
  const children = Array.from({ length: 2_000 }, (_, index) => ({ ...child, name: `udp_${index}_egress` }));
  const large = { ...connection('b'), children: children as ConnectionConfig['children'] };
  const { loaded, error } = await loading(t, [large, connection('c')]);
  t.deepEqual(loaded, ['k8s-node-c']);
  t.regex(
    error?.message ?? '',
    new RegExp(`packet of \\d+ bytes, at most ${MAX_PACKET_BYTES} \\(k8s-node-b, 2000 children\\)`),
  );
});

test('all is well: no error', async (t) => {
  t.deepEqual(await loading(t, [connection('b')]), { loaded: ['k8s-node-b'], error: undefined });
});
