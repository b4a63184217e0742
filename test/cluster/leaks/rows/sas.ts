import { nodeOf } from '../../lab/lab.ts';
import { swanctl } from '../../lab/node.ts';
import { sasOf } from '../../lab/probe.ts';
import { mustIn, sleep } from '../../lab/process.ts';
import type { Row } from '../table.ts';
import type { World } from '../world.ts';

const IP = '/usr/sbin/ip';
const TO_SERVER = 'k8s-node-controller-1';
const TO_CLIENT = 'k8s-node-worker-0';

async function must(world: World, node: string, ...args: string[]): Promise<void> {
  const { exitCode, stdout, stderr } = await swanctl(nodeOf(world.lab, node), ...args);
  if (exitCode !== 0) {
    throw new Error(`swanctl ${args.join(' ')}: ${stderr || stdout}`);
  }
}

const asked =
  (...args: string[]) =>
  async (world: World): Promise<undefined> => {
    await must(world, 'worker-0', ...args);
    await sleep(4_000);
  };

/** Row 6: the lives of SAs. */
export const saRows: readonly Row[] = [
  {
    id: '6a',
    title: 'CHILD_SAs rekeyed',
    lossless: true,
    async event(world) {
      for (const child of ['udp_kube-dns_egress', 'tcp_kube-dns_egress', 'tcp_cert-manager_ingress']) {
        await must(world, 'worker-0', '--rekey', '--child', child);
      }
      await sleep(4_000);
      return undefined;
    },
  },
  { id: '6b', title: 'IKE_SA rekeyed', lossless: true, event: asked('--rekey', '--ike', TO_SERVER) },
  {
    id: '6c',
    title: 'reauthentication',
    event: asked('--rekey', '--ike', TO_SERVER, '--reauth'),
  },
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
    title: 'all SAs gone on both nodes, which then initiate at once',
    async event(world) {
      await Promise.all([
        swanctl(nodeOf(world.lab, 'worker-0'), '--terminate', '--ike', TO_SERVER, '--force'),
        swanctl(nodeOf(world.lab, 'controller-1'), '--terminate', '--ike', TO_CLIENT, '--force'),
      ]);
      return undefined;
    },
  },
  {
    id: '6f',
    title: "somebody flushes the SAs of the client's kernel",
    async event({ lab }) {
      const node = nodeOf(lab, 'worker-0');
      const sas = await sasOf(node);
      for (const { src, dst, spi } of sas) {
        const id = ['src', src, 'dst', dst, 'proto', 'esp', 'spi', `0x${spi.toString(16)}`];
        await mustIn(node.enter, [IP, 'xfrm', 'state', 'delete', ...id]);
      }
      return `${sas.length} SAs`;
    },
  },
  {
    id: '6g',
    title: "the server's node unreachable until DPD gives it up, then back",
    async event({ lab }) {
      const port = ['link', 'set', 'p-controller-1'];
      await mustIn([IP, '-n', lab.wire.namespace], [...port, 'down']);
      await sleep(30_000);
      await mustIn([IP, '-n', lab.wire.namespace], [...port, 'up']);
      return undefined;
    },
  },
];
