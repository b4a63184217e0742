import test from 'ava';
import { bringUp } from '../../../src/agent/charon/background.ts';
import { fakeCharon } from '../../helpers/charon/fake-charon.ts';

const EVENT_REGISTER = 3;
const EVENT_UNREGISTER = 4;
const LATE_MS = 500;

test('a child is brought up by a charon that is slow to answer, within the time that it has', async (t) => {
  const limits: unknown[] = [];
  const { path } = await fakeCharon(t, ({ type, name, message }, client) => {
    if (type === EVENT_REGISTER || type === EVENT_UNREGISTER) {
      client.send({ type: 'confirm' });
      return;
    }
    if (name === 'initiate') {
      limits.push(message.timeout);
    }
    const answer = (): void => client.send({ type: 'response', message: { success: 'yes' } });
    setTimeout(answer, name === 'list-sas' ? LATE_MS : 0);
  });
  const { signal } = new AbortController();
  const children = [{ connection: 'k8s-node-worker-0', child: 'udp_kube-dns_ingress' }];
  await bringUp({ path, timeoutMs: LATE_MS / 5 }, children, signal);
  t.deepEqual(limits, []);
  await bringUp({ path, timeoutMs: LATE_MS * 20 }, children, signal);
  t.deepEqual(limits, [String(LATE_MS * 20)]);
});
