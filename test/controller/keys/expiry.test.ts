import test from 'ava';
import { pino } from 'pino';
import { type IPsecNode, ipsecNodeSchema } from '../../../src/cluster/contract/node-status.ts';
import { createEventLimit } from '../../../src/controller/event-limit.ts';
import { announceExpiry } from '../../../src/controller/keys/expiry.ts';
import type { KubeClient, KubeRequest } from '../../../src/kube/client.ts';

const DAY_MS = 86_400_000;
const report = (notAfter: number): IPsecNode =>
  ipsecNodeSchema.parse({
    metadata: { name: 'a', uid: 'u' },
    status: {
      certificate: {
        notBefore: new Date(0).toISOString(),
        notAfter: new Date(notAfter).toISOString(),
        root: '',
        trusted: [],
      },
    },
  });

test('an Event at 20 % of the life, once for each certificate', async (t) => {
  const written: KubeRequest[] = [];
  const client = {
    request: async (request: KubeRequest) => void written.push(request),
  } as unknown as KubeClient;
  const announced = new Map<string, string>();
  const at = (days: number, notAfter: number): Promise<void> =>
    announceExpiry(
      {
        client,
        identity: 'c',
        now: () => days * DAY_MS,
        log: pino({ level: 'silent' }),
        mayWrite: createEventLimit(() => 0),
      },
      [report(notAfter * DAY_MS)],
      announced,
    );
  await at(23, 30);
  t.is(written.length, 0);
  await at(25, 30);
  await at(26, 30);
  t.is(written.length, 1);
  t.like(written[0]?.body, {
    type: 'Warning',
    reason: 'CertificateExpiring',
    regarding: { kind: 'IPsecNode', name: 'a' },
  });
  await at(26, 50);
  await at(45, 50);
  t.is(written.length, 2);
});
