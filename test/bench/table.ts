import { keepThresholds } from '../../src/agent/host/hash-thresholds.ts';
import { planAttachment, planPolicies } from '../../src/ipsec/plan/plan.ts';
import type { XfrmPolicy } from '../../src/ipsec/plan/types.ts';
import type { Operation } from '../../src/ipsec/xfrm/operation.ts';
import { renderOperation } from '../../src/ipsec/xfrm/write/render.ts';
import { createNamespace, IP, must, type Namespace } from '../helpers/netns/netns.ts';
import { largeNode } from './cases.ts';
import type { Row } from './report.ts';
import { median, medianRatio } from './statistics.ts';

/** What a change costs in a table of many policies: the policies of one pod, changed, deleted and laid again. */

const PODS = [1, 12] as const;
const ROUNDS = 5;

interface Table {
  readonly node: Namespace;
  readonly size: number;
  readonly pod: readonly XfrmPolicy[];
}

async function batch(
  { run }: Namespace,
  op: Operation['op'],
  policies: readonly XfrmPolicy[],
): Promise<number> {
  const input = policies.map((policy) => `${renderOperation({ op, policy, previous: policy })}\n`).join('');
  const started = performance.now();
  await must({ file: IP, args: ['-batch', '-'], input, timeoutMs: 300_000 }, run);
  return (performance.now() - started) / policies.length;
}

export async function table(folder: string): Promise<Row[]> {
  const tables: Table[] = [];
  try {
    for (const pods of PODS) {
      const node = await createNamespace('table');
      const { cache, attachments } = largeNode(pods);
      await keepThresholds({ run: node.run, ip: IP }, { runDir: `${folder}/${node.name}`, cache });
      const all = planPolicies(cache, attachments);
      const pod = attachments.slice(0, 1).flatMap((attachment) => planAttachment(cache, attachment));
      tables.push({ node, size: all.length, pod });
      await batch(node, 'add', all);
    }
    const [small, large] = tables;
    const rows: Row[] = [];
    for (const op of ['update', 'delete', 'add'] as const) {
      const of = async (one: Table | undefined): Promise<number> =>
        one === undefined ? 0 : 1_000 * (await batch(one.node, op, one.pod));
      const times: [number[], number[]] = [[], []];
      for (let round = 0; round < ROUNDS; round += 1) {
        times[0].push(await of(small));
        times[1].push(await of(large));
        await restore(op, [small, large]);
      }
      const [one, many] = times;
      const name = (size: number | undefined): string =>
        `µs to ${op} a policy among ${(size ?? 0).toLocaleString('en')}`;
      rows.push({ what: name(small?.size), median: median(one) });
      const against = name(small?.size);
      rows.push({
        what: name(large?.size),
        median: median(many),
        against,
        ratio: medianRatio(many, one),
        target: 1.5,
      });
      if (op === 'delete') {
        await Promise.all(tables.map(({ node, pod }) => batch(node, 'delete', pod)));
      }
    }
    return rows;
  } finally {
    for (const { node } of tables) {
      await node.remove();
    }
  }
}

/** What was deleted is laid again, what was laid is deleted: each round begins alike. */
async function restore(op: Operation['op'], tables: readonly (Table | undefined)[]): Promise<void> {
  for (const one of op === 'update' ? [] : tables) {
    if (one !== undefined) {
      await batch(one.node, op === 'delete' ? 'add' : 'delete', one.pod);
    }
  }
}
