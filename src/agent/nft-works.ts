import type { Iproute2 } from '../ipsec/xfrm/iproute2.ts';
import { messageOf } from '../util/message-of.ts';

/** What the agent's own tables need of nft and of the kernel: hooks, sets, and connection tracking. */
const PROBE = `table inet trapline-probe {
  chain probe { type filter hook prerouting priority 0; ct state new counter; }
}
`;

/**
 * Why nft cannot lay the agent's tables, and what helps; empty if it can. It is only asked to check a table.
 * Never rejects.
 */
export async function whyNftFails(run: Iproute2['run'], nft: string): Promise<string> {
  const reason = await run({ file: nft, args: ['--check', '--file', '-'], input: PROBE }).then(
    ({ exitCode, stderr }) => (exitCode === 0 ? '' : (stderr.trim().split('\n')[0] ?? '')),
    messageOf,
  );
  return reason === ''
    ? ''
    : `${nft} does not work: ${reason}. While something is protected, no pod is attached on this node: install nftables, and the kernel's modules nf_tables and nft_ct`;
}
