import {
  attachAll,
  issueCertificates,
  type Lab,
  nodeOf,
  podOf,
  startDaemons,
  startServers,
} from '../nodes/lab.ts';
import { swanctl } from '../nodes/node.ts';
import { CLEAR, connect, countUntranslated, dig, lagOf, policiesOf, STRETCH, sasOf } from '../nodes/probe.ts';
import { runIn, sleep, until } from '../nodes/process.ts';
import { check, type Report } from '../nodes/report.ts';
import { CERT_IP, DNS_IP, OPEN_PORT, PODS } from '../nodes/topology.ts';

const POLICY = 'ipsecpolicy-kube-dns-sample.yaml';

/** Nodes, certificates, daemons, the seed's policy, pods. */
export async function bringUp(lab: Lab, report: Report): Promise<boolean> {
  if (lab.cluster.kind === 'directory') {
    await report.step('a certificate for every node: trapline-agent pki', () => issueCertificates(lab));
  }
  await report.step(
    "charon and trapline-agent on three nodes, the seed's IPsecPolicy applied unchanged",
    async (say) => {
      await lab.cluster.applyPolicy(POLICY);
      await startDaemons(lab);
      for (const node of lab.nodes) {
        let lag = '';
        await until(`${node.spec.name}: in step`, 15_000 * STRETCH, async () => {
          lag = lagOf(node, 2);
          return lag === '';
        }).catch((error: Error) => {
          throw new Error(`${error.message}: ${lag}`);
        });
        say(`${node.spec.name}: ${(await policiesOf(node)).length} XFRM policies`);
      }
    },
  );
  return await report.step('pods attached by bridge + host-local + trapline', async (say) => {
    await attachAll(lab);
    startServers(lab);
    for (const { spec, addMs } of lab.pods.values()) {
      say(
        `${spec.namespace}/${spec.name} ${spec.address} on ${spec.node}: ADD of the chain ${addMs.toFixed(0)} ms`,
      );
    }
    const served = await policiesOf(nodeOf(lab, 'controller-1'));
    check(
      served.some(({ selector }) => selector.src === `${PODS.dns1.address}/32`),
      'the DNS pod has no policy in the kernel when ADD has returned',
    );
  });
}

/** What `kubectl get` says of it. */
export async function shownByKubectl(lab: Lab, report: Report): Promise<boolean> {
  return await report.step('kubectl get ipsecpolicies: enforced on three of three nodes', async (say) => {
    let table = '';
    await until('Enforced', 30_000 * STRETCH, async () => {
      table = await lab.cluster.get('ipsecpolicies');
      return /True +True +Required +3\/3/.test(table);
    }).catch((error: Error) => {
      throw new Error(`${error.message}:\n${table}`);
    });
    say(table);
    say(await lab.cluster.get('ipsecnodes'));
  });
}

/** What the wire shows of the first packets. */
export async function firstPackets(lab: Lab, report: Report): Promise<boolean> {
  await report.step('an unprotected port goes in the clear: the capture sees plaintext', async (say) => {
    await until(
      'the servers',
      10_000 * STRETCH,
      async () => (await connect(lab, 'client2', PODS.dns1.address, OPEN_PORT)).ok,
    );
    const seen = await lab.wire.show(`net 172.16.0.0/16 and tcp port ${OPEN_PORT}`);
    check(seen.length > 0, 'the filter sees nothing');
    say(seen[0] ?? '');
  });
  await report.step('the first DNS query brings the tunnel up and is answered: nothing lost', async (say) => {
    const node = nodeOf(lab, 'worker-0');
    check((await sasOf(node)).length === 0, 'there is an SA already');
    const answer = await dig(lab, 'client2');
    check(answer.ok, `no answer: ${answer.said}`);
    say(
      `to the cluster IP, one query, sent once: answered after ${answer.ms.toFixed(0)} ms, tunnel included`,
    );
    const again = await dig(lab, 'client2');
    check(again.ok, `no answer: ${again.said}`);
    say(`again, through the tunnel that is there: ${again.ms.toFixed(0)} ms`);
  });
  await report.step(
    'TCP: kube-dns 53 and 9153, cm-cert-manager 9402, through their cluster IPs',
    async (say) => {
      check((await dig(lab, 'client2', ['+tcp'])).ok, 'DNS over TCP got no answer');
      for (const [from, address, port] of [
        ['client2', DNS_IP, 9153],
        ['client0', CERT_IP, 9402],
        ['client1', CERT_IP, 9402],
      ] as const) {
        const untranslated = await countUntranslated(lab, from);
        const answer = await connect(lab, from, address, port);
        check(answer.ok, `${from} to ${address}:${port}: ${answer.said}`);
        say(`${from} to ${address}:${port}: ${answer.ms.toFixed(0)} ms`);
        check((await untranslated()) === 0, `${from} got an answer that does not come from ${address}`);
      }
    },
  );
  await report.step('every node asks every DNS pod', async () => {
    for (const from of ['client0', 'client1', 'client2'] as const) {
      for (const server of [PODS.dns0, PODS.dns1]) {
        check((await dig(lab, from, [], server.address)).ok, `${from} gets no answer from ${server.name}`);
      }
    }
  });
  if (lab.childSaScope === 'service') {
    await report.step("swanctl --list-sas, in the seed's shape", async (say) => {
      const { stdout } = await swanctl(nodeOf(lab, 'controller-0'), '--list-sas');
      say(stdout);
      for (const name of [
        'k8s-node-controller-1',
        'k8s-node-worker-0',
        'udp_kube-dns_egress',
        'udp_kube-dns_ingress',
      ]) {
        check(stdout.includes(`${name}: #`), `no ${name}`);
      }
    });
  }
  await report.step('an ICMP error about a protected pod goes as ESP', async () => {
    const before = await lab.wire.count('esp');
    const datagram = `echo secret | socat -T1 - UDP:${PODS.dns1.address}:9999`;
    await runIn(podOf(lab, 'client2').enter, ['/bin/sh', '-c', datagram]);
    await sleep(1_000);
    check((await lab.wire.count('udp port 9999')) > 0, 'the datagram itself was not sent');
    await until(
      'ESP for the ICMP error',
      4_000 * STRETCH,
      async () => (await lab.wire.count('esp')) > before,
    );
    check((await lab.wire.count('icmp')) === 0, 'ICMP in the clear');
  });
  await report.step('a datagram too large for one packet goes as ESP, every fragment', async () => {
    const before = await lab.wire.count('esp');
    const datagram = `head -c 3000 /dev/zero | socat -u -b 4000 - UDP:${PODS.dns1.address}:53`;
    await runIn(podOf(lab, 'client2').enter, ['/bin/sh', '-c', datagram]);
    await until(
      'ESP for the datagram',
      4_000 * STRETCH,
      async () => (await lab.wire.count('esp')) >= before + 2,
    );
    const fragments = await lab.wire.count('net 172.16.0.0/16 and ip[6:2] & 0x3fff != 0');
    check(fragments === 0, 'fragments in the clear');
  });
  return await report.step(
    'on the wire: ESP, and not one packet of the protected ports in the clear',
    async (say) => {
      const [esp, clear] = [await lab.wire.count('esp'), await lab.wire.show(CLEAR)];
      say(`${esp} ESP packets, ${clear.length} in the clear`);
      check(esp > 0, 'no ESP at all');
      check(clear.length === 0, clear.slice(0, 5).join('\n'));
    },
  );
}
