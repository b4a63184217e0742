import type { NodeCache } from '../rundir/schema.ts';
import type { Explanation } from './explain.ts';
import { childrenByReqid } from './format-policies.ts';
import { formatTable } from './table.ts';

/** `traplinectl explain` as text. */
export function formatExplanation(explanation: Explanation, cache: NodeCache | null): string {
  if (explanation.kind !== 'protected') {
    const verdict = explanation.kind === 'unknown' ? 'UNKNOWN' : 'NOT PROTECTED';
    return `pod ${explanation.pod}: ${verdict}: ${explanation.why}\n`;
  }
  const { pod, entries, addresses, peers, policies } = explanation;
  const lacking = policies.filter(({ inKernel }) => inKernel !== 'yes').length;
  const verdict =
    lacking === 0 ? 'PROTECTED' : `PLANNED, BUT ${lacking} OF ${policies.length} NOT SEEN IN THE KERNEL`;
  const ports = addresses.flatMap(({ address, ports: list }) =>
    list.map(({ proto, port, child }) => ['', address, `${proto}/${port === 0 ? '*' : port}`, child]),
  );
  const children = childrenByReqid(cache);
  const rows = policies.map(({ key, reqid, inKernel }) => [
    '',
    KERNEL[inKernel],
    key,
    String(reqid),
    children.get(reqid) ?? '-',
  ]);
  return [
    `pod ${pod}: ${verdict}\n`,
    `entries: ${entries.join(', ') || '-'}\n`,
    `peers: ${peers.join(', ') || '-'}\n`,
    'ports:\n',
    formatTable(ports),
    'policies:\n',
    formatTable(rows),
  ].join('');
}

const KERNEL = { yes: 'in kernel', no: 'MISSING', unknown: 'unknown' } as const;
