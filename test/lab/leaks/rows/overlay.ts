import { readFileSync } from 'node:fs';
import type { LabNode } from '../../nodes/node.ts';
import { mustIn, sleep } from '../../nodes/process.ts';
import { NODES, PODS } from '../../nodes/topology.ts';
import type { Row } from '../table.ts';
import { outputOf, type World } from '../world.ts';
import { flow } from './flow.ts';

const IP = '/usr/sbin/ip';
const NFT = '/usr/sbin/nft';
const overlayAddress = (address: string): string => address.replace(/^192\.168\.206\./, '10.5.0.');

/** As flannel does: a VXLAN between the nodes, and routes to pod CIDRs through it. */
async function layOverlay({ lab }: World): Promise<void> {
  for (const { spec, enter } of lab.nodes) {
    const peers = NODES.filter(({ name }) => name !== spec.name);
    const link = ['link', 'add', 'flannel.1', 'type', 'vxlan', 'id', '1', 'local', spec.address];
    await mustIn(enter, [IP, ...link, 'dstport', '8472', 'dev', 'eth0']);
    for (const peer of peers) {
      const entry = ['00:00:00:00:00:00', 'dev', 'flannel.1', 'dst', peer.address];
      await mustIn(enter, ['/usr/sbin/bridge', 'fdb', 'append', ...entry]);
    }
    await mustIn(enter, [IP, 'addr', 'add', `${overlayAddress(spec.address)}/24`, 'dev', 'flannel.1']);
    await mustIn(enter, [IP, 'link', 'set', 'flannel.1', 'up']);
    for (const peer of peers) {
      const via = ['via', overlayAddress(peer.address), 'dev', 'flannel.1'];
      await mustIn(enter, [IP, 'route', 'replace', peer.podCidr, ...via]);
    }
  }
}

async function removeOverlay({ lab }: World): Promise<void> {
  for (const { spec, enter } of lab.nodes) {
    await mustIn(enter, [IP, 'link', 'del', 'flannel.1']);
    for (const peer of NODES.filter(({ name }) => name !== spec.name)) {
      await mustIn(enter, [IP, 'route', 'replace', peer.podCidr, 'via', peer.address]);
    }
  }
}

/** A new flow of client2; resolves to who the server took it for. */
async function newFlow(world: World, name: string): Promise<string[]> {
  const { sent, lost } = await flow(world, 'client2', { name, kind: 'tcp' });
  if (sent === 0 || lost === sent) {
    throw new Error(`a new flow: ${lost} of ${sent} lost`);
  }
  const seen = readFileSync(outputOf(world.lab, PODS.dns1.name), 'utf8');
  return [...seen.matchAll(/^tcp\/53 (\S+)$/gm)].map(([, address = '']) => address);
}

/** A flow while every node masquerades. `lay` adds the rule for a node's own pod CIDR, and takes it back. */
async function masqueraded(
  world: World,
  name: string,
  lay: (node: LabNode, own: string, on: boolean) => Promise<unknown>,
): Promise<string> {
  const { dual, nodes } = world.lab;
  const layAll = async (on: boolean): Promise<void> => {
    for (const node of nodes) {
      await lay(node, dual ? node.spec.podCidr6 : node.spec.podCidr, on);
    }
  };
  await layAll(true);
  const seen = await newFlow(world, name);
  await layAll(false);
  const wrong = seen.filter((address) => !address.startsWith(dual ? 'fd00:10:' : '172.16.'));
  if (wrong.length > 0) {
    throw new Error(`servers see ${wrong.join(', ')}`);
  }
  return `servers see ${seen.join(', ')}`;
}

/** Row 12: how pods reach each other otherwise. */
export const overlayRows: readonly Row[] = [
  {
    id: '12a',
    title: 'the pod network is an overlay (VXLAN, as flannel lays it)',
    async event(world) {
      await layOverlay(world);
      await sleep(4_000);
      const seen = await newFlow(world, 'vxlan');
      await removeOverlay(world);
      return `servers see ${seen.join(', ')}`;
    },
  },
  {
    id: '12b',
    title: 'masquerading of everything that leaves the node, as ipMasq of bridge does it',
    async event(world) {
      const family = world.lab.dual ? 'ip6' : 'ip';
      return await masqueraded(world, 'masquerade', ({ enter }, own, on) => {
        const rules = `table ${family} masq {
          chain post {
            type nat hook postrouting priority srcnat
            ${family} saddr ${own} ${family} daddr != ${own} masquerade
          }
        }
`;
        return mustIn(enter, [NFT, '-f', '-'], on ? rules : `delete table ${family} masq`);
      });
    },
  },
  {
    id: '12c',
    title: 'the same by iptables, nft and legacy',
    async event(world) {
      const family = world.lab.dual ? 'ip6tables' : 'iptables';
      const remarks: string[] = [];
      for (const kind of ['nft', 'legacy']) {
        const iptables = `/usr/sbin/${family}-${kind}`;
        const remark = await masqueraded(world, `masquerade-${kind}`, ({ enter }, own, on) => {
          const rule = ['POSTROUTING', '-s', own, '!', '-d', own, '-j', 'MASQUERADE'];
          return mustIn(enter, [iptables, '-t', 'nat', on ? '-A' : '-D', ...rule]);
        });
        remarks.push(`${kind}: ${remark}`);
      }
      return remarks.join('; ');
    },
  },
];
