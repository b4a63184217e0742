import type { Lab } from '../nodes/lab.ts';
import { executable } from '../nodes/node.ts';
import { CLEAR, connect, dig, lagOf, policiesOf, requiresEsp, STRETCH, sasOf } from '../nodes/probe.ts';
import { mustIn, until } from '../nodes/process.ts';
import { check, type Report } from '../nodes/report.ts';
import { CERT_IP, DNS_IP } from '../nodes/topology.ts';

const FOREIGN = ['src', '198.51.100.0/24', 'dst', '203.0.113.0/24', 'dir', 'out'];
const IP = '/usr/sbin/ip';

/** The seed's update, the deletion, the agent's end and the clean-up. */
export async function changes(lab: Lab, report: Report): Promise<boolean> {
  await report.step(
    "the seed's update: without udp/53, DNS over UDP is in the clear, TCP is not",
    async (say) => {
      const clear = await lab.wire.count(CLEAR);
      check(clear === 0, `${clear} packets in the clear before the update`);
      const ms = await updated(lab);
      say(`on every node after ${(ms / 1000).toFixed(1)} s; 0 packets in the clear until then`);
      check((await dig(lab, 'client2')).ok, 'no answer in the clear');
      check((await lab.wire.count('udp port 53 and net 172.16.0.0/16')) > 0, 'no UDP in the clear');
      check((await dig(lab, 'client2', ['+tcp'])).ok, 'no answer over TCP');
      check((await connect(lab, 'client0', CERT_IP, 9402)).ok, 'no answer from cm-cert-manager');
      const tcp = await lab.wire.show('net 172.16.0.0/16 and tcp port (53 or 9153 or 9402)');
      check(tcp.length === 0, tcp.slice(0, 5).join('\n'));
    },
  );
  await report.step('the policy deleted: no policy and no SA left on any node', async (say) => {
    await lab.cluster.deletePolicy();
    const ms = await until('all gone', 15_000 * STRETCH, () => nothingLeft(lab));
    say(`after ${(ms / 1000).toFixed(1)} s`);
    check((await connect(lab, 'client2', DNS_IP, 9153)).ok, 'no answer in the clear');
  });
  await report.step('the policy again: protected again, DNS answers', async () => {
    await lab.cluster.applyPolicy('ipsecpolicy-kube-dns-sample.yaml');
    for (const node of lab.nodes) {
      await until(
        `${node.spec.name} in step`,
        30_000 * STRETCH,
        async () => lagOf(node, 2) === '' && requiresEsp(node) && (await policiesOf(node)).length > 0,
      );
    }
    const before = await lab.wire.count(CLEAR);
    check((await dig(lab, 'client2')).ok, 'no answer');
    check((await dig(lab, 'client2', ['+tcp'])).ok, 'no answer over TCP');
    check((await connect(lab, 'client0', CERT_IP, 9402)).ok, 'no answer from cm-cert-manager');
    check((await lab.wire.count(CLEAR)) === before, 'in the clear');
  });
  await report.step('the agents stopped: what is in force stays in force', async () => {
    for (const node of lab.nodes) {
      const before = (await policiesOf(node)).length;
      await node.agent?.stop('SIGTERM');
      check((await policiesOf(node)).length === before, `${node.spec.name}: policies changed`);
    }
    const before = await lab.wire.count(CLEAR);
    check((await dig(lab, 'client2')).ok, 'no answer without agents');
    check((await dig(lab, 'client2', ['+tcp'])).ok, 'no answer over TCP without agents');
    check((await lab.wire.count(CLEAR)) === before, 'in the clear');
  });
  return await report.step(
    'trapline-agent cleanup: all of ours gone, a policy of somebody else stays',
    async (say) => {
      for (const node of lab.nodes) {
        await mustIn(node.enter, [IP, 'xfrm', 'policy', 'add', ...FOREIGN]);
        say(
          `${node.spec.name}: ${(await mustIn(node.enter, [executable('trapline-agent'), 'cleanup'])).trim()}`,
        );
        const policies = await mustIn(node.enter, [IP, 'xfrm', 'policy']);
        check(policies.includes('198.51.100.0/24'), 'the policy of somebody else is gone');
        const larval = await mustIn(node.enter, ['/bin/cat', '/proc/sys/net/core/xfrm_larval_drop']);
        check(larval.trim() === '1', 'xfrm_larval_drop is not put back');
        const links = await mustIn(node.enter, [IP, '-o', 'link']);
        const rules = await mustIn(node.enter, [IP, 'rule']);
        const tables = await mustIn(node.enter, ['/usr/sbin/nft', 'list', 'tables']);
        check(!/trapline|^77:/m.test(links + rules + tables), 'the hairpin is left');
      }
      check(await nothingLeft(lab), 'something of ours is left');
    },
  );
}

async function updated(lab: Lab): Promise<number> {
  await lab.cluster.applyPolicy('ipsecpolicy-kube-dns-sample-update.yaml');
  return await until('udp/53 gone', 15_000 * STRETCH, async () => {
    for (const node of lab.nodes) {
      if ((await policiesOf(node)).some(({ selector }) => selector.proto === 'udp')) {
        return false;
      }
    }
    return true;
  });
}

async function nothingLeft(lab: Lab): Promise<boolean> {
  for (const node of lab.nodes) {
    if ((await policiesOf(node)).length > 0 || (await sasOf(node)).length > 0) {
      return false;
    }
  }
  return true;
}
