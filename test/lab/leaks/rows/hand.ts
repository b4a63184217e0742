import { GHOST_MIN_AGE_S } from '../../../../src/ipsec/charon/sas/ghosts.ts';
import { nodeOf } from '../../nodes/lab.ts';
import { mustSwanctl, swanctl } from '../../nodes/node.ts';
import { sasOf } from '../../nodes/probe.ts';
import { runIn, sleep } from '../../nodes/process.ts';
import { RESPONDER_FIRST, type Row } from '../table.ts';
import { haveOneIkeSa } from './ike-sas.ts';
import { idOf } from './kernel-sas.ts';

/** charon alone would wait for the end of the IKE_SA. */
const WITHIN_MS = 2_000;
/** Of the client's node, with the server's. */
const CHILDREN = ['udp_kube-dns_egress', 'tcp_kube-dns_egress', 'tcp_cert-manager_ingress'];

/** Row 14: what somebody does by hand. */
export const handRows: readonly Row[] = [
  {
    id: '14a',
    title: 'somebody ends all SAs of two nodes, at both of them (swanctl --terminate)',
    async event({ lab }) {
      await Promise.all([
        swanctl(nodeOf(lab, 'worker-0'), '--terminate', '--ike', 'k8s-node-controller-1', '--force'),
        swanctl(nodeOf(lab, 'controller-1'), '--terminate', '--ike', 'k8s-node-worker-0', '--force'),
      ]);
      return undefined;
    },
  },
  {
    id: '14b',
    title: "somebody flushes the SAs of the client's kernel",
    recoversWithin: WITHIN_MS,
    async prepare(world) {
      await haveOneIkeSa(world);
      // Those of a few seconds ago are looked at once more, and take as much longer.
      await sleep(1_000 * GHOST_MIN_AGE_S);
    },
    async event({ lab }) {
      const node = nodeOf(lab, 'worker-0');
      const sas = await sasOf(node);
      const deletes = sas.map((sa) => `xfrm state delete ${idOf(sa).join(' ')}\n`).join('');
      // One may be gone before its turn comes, which is no matter.
      await runIn(node.enter, ['/usr/sbin/ip', '-force', '-batch', '-'], deletes);
      const spis = new Set((await sasOf(node)).map(({ spi }) => spi));
      if (sas.some(({ spi }) => spis.has(spi))) {
        throw new Error('the kernel has an SA of before');
      }
      return `${sas.length} SAs`;
    },
  },
  {
    id: '14c',
    title: 'somebody has charon rekey CHILD_SAs (swanctl --rekey --child)',
    loses: RESPONDER_FIRST,
    async event({ lab }) {
      for (const child of CHILDREN) {
        await mustSwanctl(nodeOf(lab, 'worker-0'), '--rekey', '--child', child);
      }
      await sleep(4_000);
      return undefined;
    },
  },
  {
    id: '14d',
    title: 'somebody has charon authenticate again (swanctl --rekey --reauth)',
    loses: RESPONDER_FIRST,
    async event({ lab }) {
      const again = ['--rekey', '--ike', 'k8s-node-controller-1', '--reauth'];
      await mustSwanctl(nodeOf(lab, 'worker-0'), ...again);
      await sleep(4_000);
      return undefined;
    },
  },
  {
    id: '14e',
    title: 'somebody ends CHILD_SAs, but not their IKE_SA (swanctl --terminate --child)',
    recoversWithin: WITHIN_MS,
    prepare: haveOneIkeSa,
    async event({ lab }) {
      for (const child of CHILDREN) {
        await mustSwanctl(nodeOf(lab, 'worker-0'), '--terminate', '--child', child);
      }
      return undefined;
    },
  },
];
