import type { LabNode } from '../../nodes/node.ts';
import { mustIn } from '../../nodes/process.ts';

const NFT = '/usr/sbin/nft';
const RULES = `table ip block {
  chain in {
    type filter hook input priority 0
    udp dport { 500, 4500 } drop
  }
}
`;

/** No IKE message comes to the node any more; ESP does. */
export async function blockIke(node: LabNode): Promise<void> {
  await mustIn(node.enter, [NFT, '-f', '-'], RULES);
}

export async function unblockIke(node: LabNode): Promise<void> {
  await mustIn(node.enter, [NFT, 'delete', 'table', 'ip', 'block']);
}
