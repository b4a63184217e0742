import type { KernelState } from '../../../../src/ipsec/xfrm/parse/state.ts';
import { nodeOf } from '../../nodes/lab.ts';
import { sasOf } from '../../nodes/probe.ts';
import { mustIn } from '../../nodes/process.ts';
import { NODES } from '../../nodes/topology.ts';
import type { World } from '../world.ts';

/** SAs between the client's node and the server's, in the kernel of the client's. */

const IP = '/usr/sbin/ip';

/** As `ip xfrm state` names an SA. */
export const idOf = ({ src, dst, spi }: KernelState): string[] => [
  ...['src', src, 'dst', dst, 'proto', 'esp', 'spi', `0x${spi.toString(16)}`],
];

export const addressOf = (name: string): string | undefined =>
  NODES.find((node) => node.name === name)?.address;

/** SAs between the client's node and the server's, as the client's kernel has them. */
export async function between({ lab }: World): Promise<KernelState[]> {
  const ends = [addressOf('worker-0'), addressOf('controller-1')];
  return (await sasOf(nodeOf(lab, 'worker-0'))).filter(
    ({ src, dst }) => ends.includes(src) && ends.includes(dst),
  );
}

/** Those through which the client's node sends. */
export async function outbound(world: World): Promise<KernelState[]> {
  return (await between(world)).filter(({ src }) => src === addressOf('worker-0'));
}

/** All of them were there before, and none is now. Resolves to their number. */
export async function expired(world: World, sas: readonly KernelState[]): Promise<string> {
  const left = (await between(world)).filter(({ spi }) => sas.some((sa) => sa.spi === spi));
  if (sas.length === 0 || left.length > 0) {
    throw new Error(`${left.length} of ${sas.length} SAs have not expired`);
  }
  return `${sas.length} SAs expired`;
}

/** The kernel takes new limits for an SA that it has, and looks at nothing else of it. */
export async function limit({ lab }: World, sa: KernelState, ...limits: string[]): Promise<void> {
  const anyKey = ['aead', 'rfc4106(gcm(aes))', `0x${'00'.repeat(36)}`, '128'];
  const shape = ['reqid', String(sa.reqid), 'mode', sa.mode, ...anyKey];
  const command = [IP, 'xfrm', 'state', 'update', ...idOf(sa), ...shape, ...limits];
  await mustIn(nodeOf(lab, 'worker-0').enter, command);
}

interface Anew {
  /** Last sequence numbers. */
  readonly in?: number;
  readonly out?: number;
  readonly limits?: readonly string[];
}

/** The same SA, in the kernel of the client's node, begun anew. */
export async function beginAnew({ lab }: World, sa: KernelState, anew: Anew): Promise<void> {
  const { enter } = nodeOf(lab, 'worker-0');
  const text = await mustIn(enter, [IP, 'xfrm', 'state', 'get', ...idOf(sa)]);
  const [, algorithm = '', key = '', icv = ''] = /aead (\S+) (0x[0-9a-f]+) (\d+)/.exec(text) ?? [];
  const { in: received = 0, out: sent = 0, limits = [] } = anew;
  const shape = ['reqid', String(sa.reqid), 'mode', sa.mode, 'flag', ...sa.flags];
  const replay = ['replay-window', '1024', 'replay-seq', hex(received), 'replay-oseq', hex(sent)];
  const add = [...idOf(sa), ...shape, ...replay, 'aead', algorithm, key, icv, ...limits];
  const batch = `xfrm state delete ${idOf(sa).join(' ')}\nxfrm state add ${add.join(' ')}\n`;
  await mustIn(enter, [IP, '-batch', '-'], batch);
}

const hex = (number: number): string => `0x${number.toString(16)}`;
