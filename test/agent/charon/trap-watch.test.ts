import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { createTrapWatch, replaceGhosts } from '../../../src/agent/charon/trap-watch.ts';
import type { ChildSa, IkeSa } from '../../../src/ipsec/charon/replies.ts';
import type { KernelSa } from '../../../src/ipsec/charon/sas/orphans.ts';
import type { ViciMessage } from '../../../src/ipsec/vici/message.ts';
import { childSa, connection, ikeSa } from '../../helpers/charon/values.ts';

/** Longer than the watch waits before it looks. */
const LOOKED_MS = 500;
const EGRESS = 10_000_000;

const ignored = (reqid: number): ViciMessage => ({
  msg: `ignoring acquire for reqid ${reqid}, connection attempt pending`,
});
const duplicate: ViciMessage = {
  'ikesa-name': 'k8s-node-b',
  msg: 'not establishing CHILD_SA udp_dns_egress{9} due to existing duplicate {7} with SPIs c1_i c2_o',
};

interface Fake {
  /** What charon has, below one IKE_SA. */
  readonly children?: readonly ChildSa[];
  readonly listKernel?: () => Promise<KernelSa[]>;
  readonly doubts?: boolean;
}

function trapWatch(t: ExecutionContext, { children = [], listKernel, doubts = false }: Fake = {}) {
  const end = new AbortController();
  t.teardown(() => end.abort());
  const did: string[] = [];
  const errors: unknown[] = [];
  const sas: IkeSa[] = [ikeSa({ children: [...children] })];
  const repair = {
    charon: {
      listSas: async (name?: string) => {
        did.push(`list ${name ?? 'all'}`);
        return sas;
      },
      endChildren: async (ids: readonly number[]) => void did.push(...ids.map((id) => `end ${id}`)),
    },
    listKernel: listKernel ?? (async () => []),
    bringUp: async (refs: readonly { connection: string; child: string }[]) => {
      did.push(...refs.map((ref) => `bring up ${ref.connection} ${ref.child}`));
    },
  };
  const watch = createTrapWatch({
    ...repair,
    planned: () => [connection('b', EGRESS), connection('c', EGRESS + 10)],
    doubts: () => doubts,
    onError: (error) => errors.push(error),
    signal: end.signal,
  });
  return { watch, repair, sas, did, errors, end };
}

const UP = 'bring up k8s-node-b udp_dns_egress';

test('an acquire that charon ignores for nothing is answered, and its connection alone is looked at', async (t) => {
  const { watch, did } = trapWatch(t);
  watch.note({ msg: 'establishing CHILD_SA udp_dns_egress{9}' });
  await sleep(LOOKED_MS);
  t.deepEqual(did, []);
  watch.note(ignored(EGRESS));
  watch.note(ignored(EGRESS));
  await sleep(LOOKED_MS);
  t.deepEqual(did, ['list k8s-node-b', UP]);
});

test('a CHILD_SA that only charon has is ended, and negotiated anew', async (t) => {
  const { watch, did } = trapWatch(t, { children: [childSa({ uniqueId: 7, installedFor: 60 })] });
  watch.note(duplicate);
  await sleep(LOOKED_MS);
  t.deepEqual(did, ['list k8s-node-b', 'end 7', UP]);
});

test('one that the kernel has as well stays', async (t) => {
  const child = childSa({ uniqueId: 7, installedFor: 60 });
  const kernel = (src: string, dst: string, spi = 0): KernelSa => ({
    src,
    dst,
    spi,
    reqid: EGRESS,
    algorithms: ['aead'],
  });
  const { watch, did } = trapWatch(t, {
    children: [child],
    listKernel: async () => [
      kernel('192.0.2.2', '192.0.2.1', child.spiIn),
      kernel('192.0.2.1', '192.0.2.2', child.spiOut),
    ],
  });
  watch.note(ignored(EGRESS));
  await sleep(LOOKED_MS);
  t.deepEqual(did, ['list k8s-node-b']);
});

test('nothing is negotiated with a peer that does not answer', async (t) => {
  const { watch, did } = trapWatch(t, { doubts: true });
  watch.note(ignored(EGRESS));
  await sleep(LOOKED_MS);
  t.deepEqual(did, []);
});

test("others' traps are no concern of ours", async (t) => {
  const { watch, did } = trapWatch(t);
  watch.note(ignored(5));
  await sleep(LOOKED_MS);
  t.deepEqual(did, []);
});

test('one that is about to go is looked at again', async (t) => {
  const { watch, sas, did } = trapWatch(t, { children: [childSa({ uniqueId: 7 })] });
  watch.note(ignored(EGRESS));
  await sleep(LOOKED_MS);
  t.deepEqual(did, ['list k8s-node-b']);
  sas.splice(0, 1, ikeSa());
  await sleep(1_000);
  t.deepEqual(did, ['list k8s-node-b', 'list k8s-node-b', UP]);
});

test('but not for long', async (t) => {
  const { watch, did } = trapWatch(t, { children: [childSa({ uniqueId: 7 })] });
  watch.note(ignored(EGRESS));
  await sleep(6_000);
  t.deepEqual(
    did,
    Array.from({ length: 4 }, () => 'list k8s-node-b'),
  );
});

test('after the end of the session nothing is looked at', async (t) => {
  const { watch, did, end } = trapWatch(t);
  watch.note(ignored(EGRESS));
  end.abort();
  await sleep(LOOKED_MS);
  t.deepEqual(did, []);
});

test('a look that fails is told, and the next one comes with the next line', async (t) => {
  let away = true;
  const { watch, did, errors } = trapWatch(t, {
    children: [childSa({ uniqueId: 7, installedFor: 60 })],
    listKernel: async () => {
      if (away) {
        throw new Error('ip is away');
      }
      return [];
    },
  });
  watch.note(duplicate);
  await sleep(LOOKED_MS);
  t.is(errors.length, 1);
  away = false;
  watch.note(duplicate);
  await sleep(LOOKED_MS);
  t.deepEqual(did.slice(-2), ['end 7', UP]);
});

test('what the kernel has lost and nobody asks for is ended as well', async (t) => {
  const { repair, sas, did } = trapWatch(t, { children: [childSa({ uniqueId: 7, installedFor: 60 })] });
  await replaceGhosts(repair, sas);
  t.deepEqual(did, ['end 7', UP]);
});
