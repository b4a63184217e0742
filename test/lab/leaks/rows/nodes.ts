import { nodeOf } from '../../nodes/lab.ts';
import { nodesManifest } from '../../nodes/objects.ts';
import { mustIn, sleep } from '../../nodes/process.ts';
import { NODES, type NodeSpec } from '../../nodes/topology.ts';
import type { Row } from '../table.ts';
import type { World } from '../world.ts';

const IP = '/usr/sbin/ip';
const HOLD_MS = 8_000;

const put = async ({ lab }: World, nodes: readonly NodeSpec[]): Promise<void> =>
  await lab.cluster.put('nodes.yaml', nodesManifest(nodes));
const without = (name: string): NodeSpec[] => NODES.filter((node) => node.name !== name);
const changed = (name: string, change: Partial<NodeSpec>): NodeSpec[] =>
  NODES.map((node) => (node.name === name ? { ...node, ...change } : node));

/** The cluster says something else for a while, under load. */
const meanwhile =
  (nodes: readonly NodeSpec[]) =>
  async (world: World): Promise<undefined> => {
    await put(world, nodes);
    await sleep(HOLD_MS);
    await put(world, NODES);
  };

/** Row 5: nodes. */
export const nodeRows: readonly Row[] = [
  {
    id: '5a',
    title: 'another node leaves and joins',
    lossless: true,
    event: meanwhile(without('controller-0')),
  },
  {
    id: '5b',
    title: "the client's node is removed while its pods still send, and servers answer",
    event: meanwhile(without('worker-0')),
  },
  {
    id: '5c',
    title: "the server's node is renamed, and named back",
    event: meanwhile([
      ...without('controller-1'),
      ...changed('controller-1', { name: 'renamed' }).filter(({ name }) => name === 'renamed'),
    ]),
  },
  {
    id: '5d',
    title: "the client's node changes its address",
    async event(world) {
      const { lab } = world;
      const [old, next] = ['192.168.206.66', '192.168.206.67'];
      const move = async (from: string, to: string): Promise<void> => {
        const node = nodeOf(lab, 'worker-0');
        await mustIn(node.enter, [
          '/bin/sh',
          '-c',
          'echo 1 > /proc/sys/net/ipv4/conf/eth0/promote_secondaries',
        ]);
        await mustIn(node.enter, [IP, 'addr', 'add', `${to}/24`, 'dev', 'eth0']);
        await put(world, to === old ? NODES : changed('worker-0', { address: to }));
        for (const peer of lab.nodes.filter(({ spec }) => spec.name !== 'worker-0')) {
          await mustIn(peer.enter, [IP, 'route', 'replace', node.spec.podCidr, 'via', to]);
        }
        await sleep(HOLD_MS);
        await mustIn(node.enter, [IP, 'addr', 'del', `${from}/24`, 'dev', 'eth0']);
        for (const peer of NODES.filter(({ name }) => name !== 'worker-0')) {
          await mustIn(node.enter, [IP, 'route', 'replace', peer.podCidr, 'via', peer.address]);
        }
      };
      await move(old, next);
      await sleep(HOLD_MS);
      await move(next, old);
      return undefined;
    },
  },
  {
    id: '5e',
    title: "the client's node gets another pod CIDR while pods of the old one still run",
    event: meanwhile(changed('worker-0', { podCidr: '172.16.99.0/26' })),
  },
];
