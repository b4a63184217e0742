import test from 'ava';
import { bringUp } from '../../../src/watcher/charon/background.ts';
import { fakeCharon } from '../../helpers/fake-charon.ts';

const EVENT_REGISTER = 3;
const EVENT_UNREGISTER = 4;
const LATE_MS = 500;

test('a child is brought up by a charon that is slow to answer, within the time that it has', async (t) => {
  const { path, received } = await fakeCharon(t, ({ type, name }, client) => {
    if (type === EVENT_REGISTER || type === EVENT_UNREGISTER) {
      client.send({ type: 'confirm' });
    } else {
      const answer = (): void => client.send({ type: 'response', message: { success: 'yes' } });
      setTimeout(answer, name === 'list-sas' ? LATE_MS : 0);
    }
  });
  const { signal } = new AbortController();
  const children = [{ connection: 'k8s-node-worker-0', child: 'udp_kube-dns_ingress' }];
  await bringUp({ path, timeoutMs: LATE_MS / 5 }, children, signal);
  t.false(received.includes('0:initiate'));
  await bringUp({ path, timeoutMs: LATE_MS * 20 }, children, signal);
  t.true(received.includes('0:initiate'));
});
