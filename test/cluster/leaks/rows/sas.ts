import type { KernelState } from '../../../../src/ipsec/xfrm/parse-state.ts';
import { nodeOf } from '../../lab/lab.ts';
import { swanctl } from '../../lab/node.ts';
import { sasOf } from '../../lab/probe.ts';
import { mustIn, sleep } from '../../lab/process.ts';
import { NODES } from '../../lab/topology.ts';
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

const idOf = ({ src, dst, spi }: KernelState): string[] => [
  ...['src', src, 'dst', dst, 'proto', 'esp', 'spi', `0x${spi.toString(16)}`],
];

/** SAs through which the client's node sends to the server's. */
async function outbound({ lab }: World): Promise<KernelState[]> {
  const [client, server] = ['worker-0', 'controller-1'].map(
    (name) => NODES.find((node) => node.name === name)?.address,
  );
  return (await sasOf(nodeOf(lab, 'worker-0'))).filter(({ src, dst }) => src === client && dst === server);
}

/** The kernel takes new limits for an SA that it has, and looks at nothing else of it. */
async function limit({ lab }: World, sa: KernelState, ...limits: string[]): Promise<void> {
  const anyKey = ['aead', 'rfc4106(gcm(aes))', `0x${'00'.repeat(36)}`, '128'];
  const shape = ['reqid', String(sa.reqid), 'mode', sa.mode, ...anyKey];
  const command = [IP, 'xfrm', 'state', 'update', ...idOf(sa), ...shape, ...limits];
  await mustIn(nodeOf(lab, 'worker-0').enter, command);
}

/** The same SA, with another sequence number to come. */
async function renumber({ lab }: World, sa: KernelState, next: number): Promise<void> {
  const { enter } = nodeOf(lab, 'worker-0');
  const text = await mustIn(enter, [IP, 'xfrm', 'state', 'get', ...idOf(sa)]);
  const [, name = '', key = '', icv = ''] = /aead (\S+) (0x[0-9a-f]+) (\d+)/.exec(text) ?? [];
  const shape = ['reqid', String(sa.reqid), 'mode', sa.mode, 'replay-window', '32', 'flag', ...sa.flags];
  const add = [...idOf(sa), ...shape, 'replay-oseq', `0x${next.toString(16)}`, 'aead', name, key, icv];
  const batch = `xfrm state delete ${idOf(sa).join(' ')}\nxfrm state add ${add.join(' ')}\n`;
  await mustIn(enter, [IP, '-batch', '-'], batch);
}

/** Row 6: the lives of SAs. */
export const saRows: readonly Row[] = [
  {
    id: '6k',
    title: 'CHILD_SAs rekeyed by charon itself, which agents do not let it come to',
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
    id: '6l',
    title: 'reauthentication by hand (swanctl)',
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
  {
    id: '6h',
    title: 'hard expiry of SAs that nobody has rekeyed',
    async event(world) {
      const sas = await outbound(world);
      for (const sa of sas) {
        // The kernel drops the packet that meets the limit.
        await limit(world, sa, 'limit', 'packet-hard', '1');
      }
      await sleep(4_000);
      const left = (await outbound(world)).filter(({ spi }) => sas.some((sa) => sa.spi === spi));
      if (sas.length === 0 || left.length > 0) {
        throw new Error(`${left.length} of ${sas.length} SAs have not expired`);
      }
      return `${sas.length} SAs expired`;
    },
  },
  {
    id: '6i',
    title:
      'SAs reach their limit of packets, and charon rekeys them itself; agents replace them at two thirds of it',
    async event(world) {
      const sas = await outbound(world);
      for (const sa of sas) {
        await limit(world, sa, 'limit', 'packet-soft', '1', 'limit', 'packet-hard', '1000000');
      }
      await sleep(6_000);
      const left = (await outbound(world)).filter(({ spi }) => sas.some((sa) => sa.spi === spi));
      if (sas.length === 0 || left.length > 0) {
        throw new Error(`${left.length} of ${sas.length} SAs were not rekeyed`);
      }
      return `${sas.length} SAs rekeyed`;
    },
  },
  {
    id: '6j',
    title: 'sequence numbers pass 2^32',
    lossless: true,
    async event(world) {
      const sas = await outbound(world);
      for (const sa of sas) {
        // Nearer, and a receiver whose window is not full yet takes it for a number from before (RFC 4303 appendix A).
        await renumber(world, sa, 2 ** 32 - 50);
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
