import { setImmediate } from 'node:timers/promises';
import test from 'ava';
import { paceOf } from '../../../src/agent/charon/pace.ts';
import { createRenewer } from '../../../src/agent/charon/renewer.ts';
import type { Charon } from '../../../src/ipsec/charon/charon.ts';
import type { IkeSa } from '../../../src/ipsec/charon/replies.ts';
import { ViciError } from '../../../src/ipsec/vici/error.ts';
import { childSa, connection, ikeSa } from '../../helpers/charon/values.ts';

/** charon with two peers, one of which refuses every new IKE_SA. Time goes by as fast as it can. */
function harness(refusing: string) {
  const configs = [connection('b'), connection('c', 10_000_100)];
  const sas = new Map<string, IkeSa>();
  configs.forEach(({ name, children }, index) => {
    const child = childSa({ name: children[0]?.name ?? '', state: 'INSTALLED', installedFor: 100 });
    sas.set(name, ikeSa({ uniqueId: index + 1, connection: name, children: [child] }));
  });
  const stale = new Set<number>();
  const [ended, replaced, errors, held]: [number[], string[], unknown[], boolean[]] = [[], [], [], []];
  const charon = {
    listSas: async () => [...sas.values()],
    stale: () => stale,
    renewing: (on: boolean) => void held.push(on),
    replace: (names: readonly string[]) => void replaced.push(...names),
    load: async () => {
      for (const name of replaced) {
        stale.add(sas.get(name)?.uniqueId ?? 0);
      }
      return [];
    },
    endIke: async (ids: readonly number[]) => {
      for (const id of ids) {
        ended.push(id);
        stale.delete(id);
        for (const [name] of [...sas].filter(([, { uniqueId }]) => uniqueId === id)) {
          sas.delete(name);
        }
      }
    },
  } as unknown as Charon;
  const driver = {
    initiateIke: async (name: string) => {
      if (name === refusing) {
        throw new ViciError('refused', 'no');
      }
    },
    rekeyIkeSa: async () => undefined,
    initiate: async () => undefined,
  };
  const stop = new AbortController();
  const options = {
    rekeyAfter: { seconds: 60, packets: 1_000 },
    pace: paceOf(3),
    planned: () => configs,
    inTurn: <T>(work: () => Promise<T>) => work(),
    signal: stop.signal,
    open: async () => ({ charon: driver, close: () => undefined }),
    sleep: async () => void (await setImmediate()),
    unpin: () => undefined,
    onFailures: () => undefined,
    onError: (error: unknown) => void errors.push(error),
  };
  return { charon, options, stop, sas, ended, replaced, errors, held };
}

async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; !condition(); turn += 1) {
    if (turn > 10_000) {
      throw new Error('not in ten thousand turns');
    }
    await setImmediate();
  }
}

test('a peer that refuses keeps its IKE_SA, is asked again, and holds up nobody', async (t) => {
  const { charon, options, stop, sas, ended, replaced, errors, held } = harness('k8s-node-b');
  createRenewer(charon, options);
  await until(() => ended.includes(2) && errors.length > 1);
  t.true(sas.has('k8s-node-b'));
  t.deepEqual(replaced, ['k8s-node-b', 'k8s-node-c'], 'what is being replaced is not replaced again');
  // The other one comes of age again, while the first still refuses.
  const child = childSa({ name: options.planned()[1]?.children[0]?.name ?? '', installedFor: 100 });
  sas.set('k8s-node-c', ikeSa({ uniqueId: 9, connection: 'k8s-node-c', children: [child] }));
  await until(() => ended.includes(9));
  t.false(ended.includes(1));
  t.true(
    held.every((on) => on),
    'prune leaves the first alone',
  );
  stop.abort();
  await until(() => held.at(-1) === false);
});
