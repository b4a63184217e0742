import { nodeOf } from '../../nodes/lab.ts';
import { mustSwanctl } from '../../nodes/node.ts';
import { sleep } from '../../nodes/process.ts';
import type { Row } from '../table.ts';
import type { World } from '../world.ts';
import { addressOf, beginAnew, between, expired, limit, outbound } from './kernel-sas.ts';

const TO_SERVER = 'k8s-node-controller-1';
const TO_CLIENT = 'k8s-node-worker-0';

const must = ({ lab }: World, node: string, ...args: string[]): Promise<void> =>
  mustSwanctl(nodeOf(lab, node), ...args);

const asked =
  (...args: string[]) =>
  async (world: World): Promise<undefined> => {
    await must(world, 'worker-0', ...args);
    await sleep(4_000);
  };

/** Senders of both nodes. */
function signalSenders({ daemons }: World, signal: 'SIGSTOP' | 'SIGCONT'): void {
  for (const pod of ['client1', 'client2']) {
    process.kill(daemons.get(pod)?.pid ?? 0, signal);
  }
}

/** Row 6: the lives of SAs. */
export const saRows: readonly Row[] = [
  { id: '6b', title: 'IKE_SA rekeyed', lossless: true, event: asked('--rekey', '--ike', TO_SERVER) },
  {
    id: '6d',
    title: 'both nodes rekey at once',
    lossless: true,
    async event(world) {
      await Promise.all([
        must(world, 'worker-0', '--rekey', '--ike', TO_SERVER),
        must(world, 'controller-1', '--rekey', '--ike', TO_CLIENT),
      ]);
      await sleep(4_000);
      return undefined;
    },
  },
  {
    id: '6e',
    title: 'simultaneous initiation: no SA at either end, and both have packets to send at the same moment',
    lossless: true,
    async prepare(world) {
      signalSenders(world, 'SIGSTOP');
      // Until the last answer has come: it would bring up an SA again.
      await sleep(1_000);
      await must(world, 'worker-0', '--terminate', '--ike', TO_SERVER);
      const left = await between(world);
      if (left.length > 0) {
        throw new Error(`${left.length} SAs are left`);
      }
    },
    async event(world) {
      signalSenders(world, 'SIGCONT');
      await sleep(4_000);
      // What waited leaves in a burst, and the packets after it overtake it.
      const inbound = (await between(world)).filter(({ dst }) => dst === addressOf('worker-0'));
      return `${inbound.length} SAs, replay window ${Math.min(...inbound.map((sa) => sa.replayWindow))}`;
    },
  },
  {
    id: '6h',
    title: 'hard expiry of SAs that nobody has rekeyed, by their age',
    lossless: true,
    async event(world) {
      const sas = await between(world);
      for (const sa of sas) {
        await beginAnew(world, sa, {
          in: sa.sequence?.in ?? 0,
          out: (sa.sequence?.out ?? 0) + 100,
          limits: ['limit', 'time-hard', '3'],
        });
      }
      await sleep(8_000);
      return await expired(world, sas);
    },
  },
  {
    id: '6m',
    title: 'hard expiry of SAs that nobody has rekeyed, by the number of their packets',
    lossless: true,
    async event(world) {
      const sas = await outbound(world);
      for (const sa of sas) {
        await limit(world, sa, 'limit', 'packet-hard', '1');
      }
      await sleep(4_000);
      return await expired(world, sas);
    },
  },
  {
    id: '6j',
    title: 'sequence numbers pass 2^32',
    lossless: true,
    async prepare(world) {
      // A receiver whose window is not full yet would take the numbers of the event for some from before (RFC 4303 appendix A).
      for (const sa of await outbound(world)) {
        await beginAnew(world, sa, { out: 10_000 });
      }
      await sleep(3_000);
    },
    async event(world) {
      const sas = await outbound(world);
      for (const sa of sas) {
        await beginAnew(world, sa, { out: 2 ** 32 - 51 });
      }
      await sleep(10_000);
      const now = (await outbound(world)).filter(({ spi }) => sas.some((sa) => sa.spi === spi));
      const passed = now.filter(({ sequence }) => (sequence?.out ?? 0) > 2 ** 32);
      if (passed.length === 0) {
        throw new Error(`none of ${sas.length} SAs: ${now.map(({ sequence }) => sequence?.out).join(', ')}`);
      }
      return `${passed.length} SAs at ${Math.max(...passed.map(({ sequence }) => sequence?.out ?? 0))}`;
    },
  },
];
