import test from 'ava';
import { pino } from 'pino';
import type { IPsecPolicy } from '../../src/cluster/objects.ts';
import { acceptedCondition, enforcedCondition } from '../../src/controller/conditions.ts';
import { createEventLimit, STATUSES } from '../../src/controller/event-limit.ts';
import { recall, type State, type StatusOptions, update } from '../../src/controller/write-status.ts';
import type { KubeClient, KubeRequest } from '../../src/kube/client.ts';
import { KubeError } from '../../src/kube/error.ts';
import { cluster, item, policy, service } from '../helpers/unit/objects.ts';

function stateOf(policies: readonly IPsecPolicy[]): State {
  return {
    objects: cluster({ services: [service('web', [{ port: 80 }])], policies: [...policies] }),
    nodes: {
      items: new Map(),
      problems: new Map(),
      missing: new Set(),
      version: 0,
      synced: true,
      error: '',
      run: async () => undefined,
    },
    written: new Map(),
    enabling: new Map(),
  };
}

function optionsOf(client: KubeClient): StatusOptions {
  return {
    client,
    identity: 'c',
    log: pino({ level: 'silent' }),
    now: () => 0,
    phaseLimitMs: 25_000,
    mayWrite: createEventLimit(() => 0),
    mayPatch: createEventLimit(() => 0),
  };
}

const web = (name: string, status?: IPsecPolicy['status']): IPsecPolicy => ({
  ...policy({ name, uid: name, generation: 1 }, item('web', 'tcp/80')),
  status,
});

test('a status that the API server refuses keeps no other waiting, one that is away is told', async (t) => {
  for (const status of [422, 404, 413]) {
    const paths: string[] = [];
    const client = {
      request: async ({ path }: KubeRequest) => {
        paths.push(path);
        if (path.includes('/bad/')) {
          throw new KubeError(status, '', 'no');
        }
      },
    } as unknown as KubeClient;
    await update(optionsOf(client), stateOf([web('bad'), web('good')]));
    t.true(
      paths.some((path) => path.endsWith('/good/status')),
      String(status),
    );
  }
  const away = {
    request: async () => {
      throw new KubeError(503, '', 'overloaded');
    },
  } as unknown as KubeClient;
  await t.throwsAsync(update(optionsOf(away), stateOf([web('p')])), { name: 'KubeError' });
});

test('a phase that somebody else has written is written over', async (t) => {
  const phases: unknown[] = [];
  const client = {
    request: async ({ path, body }: KubeRequest) =>
      path.endsWith('/status') && phases.push((body as { status: { phase: string } }).status.phase),
  } as unknown as KubeClient;
  const state = stateOf([web('p')]);
  await update(optionsOf(client), state);
  const look = (status: IPsecPolicy['status']) =>
    update(optionsOf(client), { ...state, objects: { ...state.objects, policies: [web('p', status)] } });
  await look({ observedGeneration: 1, phase: 'Accepting' });
  t.deepEqual(phases, ['Accepting']);
  await look({ observedGeneration: 1, phase: 'Required' });
  t.deepEqual(phases, ['Accepting', 'Accepting']);
  await look({ observedGeneration: 7, phase: 'Accepting' });
  t.is(phases.length, 3);
});

test('a status of a generation that is still to come is not remembered', async (t) => {
  const status = {
    observedGeneration: 3,
    phase: 'Required',
    services: 0,
    pods: 0,
    nodes: 0,
    nodesEnforcing: 0,
    summary: '0/0',
    conditions: [],
  };
  const items = [2, 3].map((generation) => ({
    metadata: { name: `g${generation}`, uid: 'u', generation },
    status,
  }));
  const client = { request: async () => ({ items }) } as unknown as KubeClient;
  t.deepEqual([...(await recall(client)).keys()], ['g3']);
});

test('what nodes and items say fits into the messages, however long and many they are', (t) => {
  const long = acceptedCondition(1, ['x'.repeat(32_768), 'y'.repeat(32_768)], []);
  const many = acceptedCondition(1, [], Array<string>(256).fill('z'.repeat(400)));
  const nodes = {
    items: [{}],
    missing: Array<string>(9).fill('w'.repeat(32_768)),
    nodes: 9,
    phase: 'Required',
  };
  const enforced = enforcedCondition(1, nodes as unknown as Parameters<typeof enforcedCondition>[1]);
  for (const { message } of [long, many, enforced]) {
    t.true(message.length < 4_000, String(message.length));
  }
});

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
  const state: State = stateOf([policy({ name: 'p', uid: 'u', generation: 1 }, item('web', 'tcp/80'))]);
  const options = {
    client,
    identity: 'controller',
    log: pino({ level: 'silent' }),
    mayWrite: createEventLimit(() => 0),
    mayPatch: createEventLimit(() => 0),
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

test('a node that changes its word each second has each policy written a few times, then every 10 s', async (t) => {
  let [now, written] = [0, 0];
  const client = {
    request: async ({ path }: KubeRequest) => {
      written += path.endsWith('/status') ? 1 : 0;
    },
  } as unknown as KubeClient;
  const state = stateOf([web('p')]);
  const options = {
    ...optionsOf(client),
    phaseLimitMs: 0,
    mayPatch: createEventLimit(() => now, STATUSES),
  };
  for (let second = 0; second < 600; second += 1) {
    now = 1_000 * second;
    const services = second % 2 === 0 ? state.objects.services : [];
    await update(options, { ...state, objects: { ...state.objects, services } });
  }
  t.true(written >= 50 && written <= 3 + 10 + 60, `${written} times`);
});
