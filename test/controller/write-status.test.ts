import test from 'ava';
import { pino } from 'pino';
import { type State, update } from '../../src/controller/write-status.ts';
import type { KubeClient, KubeRequest } from '../../src/kube/client.ts';
import { cluster, item, policy, service } from '../helpers/unit/objects.ts';

test('a policy moves on after the limit that the controller was given, and its status says so', async (t) => {
  const start = Date.parse('2026-11-21T12:00:00Z');
  let now = start;
  const phases: unknown[] = [];
  const client = {
    request: async ({ path, body }: KubeRequest) => {
      if (path === '/apis/starlingx.io/v1/ipsecpolicies/p/status') {
        const { status } = body as { status: { phase: unknown } };
        phases.push([now - start, status.phase]);
      }
      return {};
    },
  } as KubeClient;
  const state: State = {
    objects: cluster({
      services: [service('web', [{ port: 80 }])],
      policies: [policy({ name: 'p', uid: 'u', generation: 1 }, item('web', 'tcp/80'))],
    }),
    nodes: {
      items: new Map(),
      problems: new Map(),
      version: 0,
      synced: true,
      error: '',
      run: async () => undefined,
    },
    written: new Map(),
    enabling: new Map(),
  };
  const options = {
    client,
    identity: 'controller',
    log: pino({ level: 'silent' }),
    now: () => now,
    phaseLimitMs: 25_000,
  };
  for (const ms of [0, 24_999, 1]) {
    now += ms;
    await update(options, state);
  }
  t.deepEqual(phases, [
    [0, 'Accepting'],
    [25_000, 'Sending'],
  ]);
});
