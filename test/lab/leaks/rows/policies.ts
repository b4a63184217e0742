import { stringify } from 'yaml';
import { nodeOf } from '../../nodes/lab.ts';
import { holdAgent } from '../../nodes/node.ts';
import { podsManifest, servicesManifest } from '../../nodes/objects.ts';
import { attachPod, detachPod } from '../../nodes/pod.ts';
import { policiesOf, STRETCH } from '../../nodes/probe.ts';
import { sleep, until } from '../../nodes/process.ts';
import { PODS, type PodSpec } from '../../nodes/topology.ts';
import type { Row } from '../table.ts';
import { MARKER } from '../traffic.ts';
import { inStep, ledgerOf, runSender, runServer, type World } from '../world.ts';
import { amongServers } from './among-servers.ts';

const NAME = 'leaks';
const CLIENT = 'worker-0';
const RETARGETED = 5_353;

/** kube-dns with these ports, and cert-manager. */
const policy = (ports: string): string =>
  stringify({
    apiVersion: 'starlingx.io/v1',
    kind: 'IPsecPolicy',
    metadata: { name: NAME },
    spec: {
      policies: [
        { name: 'kube-dns', servicename: 'kube-dns', servicens: 'kube-system', serviceports: ports },
        {
          name: 'cert-manager',
          servicename: 'cm-cert-manager',
          servicens: 'cert-manager',
          serviceports: 'tcp/9402',
        },
      ],
    },
  });

/** `kubectl apply`, until the status says that it is enforced in its last phase. */
const applied =
  (ports: string) =>
  async ({ lab }: World): Promise<string> => {
    const started = Date.now();
    await lab.cluster.put('policy.yaml', policy(ports));
    const phases = new Set<string>();
    let table = '';
    await until('Enforced', 60_000 * STRETCH, async () => {
      table = await lab.cluster.get(
        'ipsecpolicies',
        NAME,
        '--no-headers',
        '-o',
        `custom-columns=P:.status.phase,G:.status.observedGeneration,M:.metadata.generation,E:.status.conditions[?(@.type=="Enforced")].status`,
      );
      const [phase = '', observed, generation, enforced] = table.trim().split(/ +/);
      phases.add(phase);
      return phase === 'Required' && observed === generation && enforced === 'True';
    }).catch((error: Error) => {
      throw new Error(`${error.message}: ${table}`);
    });
    return `${((Date.now() - started) / 1_000).toFixed(1)} s, phases ${[...phases].join(', ')}`;
  };

/** How long the client's agent stands still: its peers are done by then, and wait for it. */
const LATE_MS = 3_000 * STRETCH;

/** As `applied`, and the client's node hears of it late. */
const appliedLate =
  (ports: string) =>
  async (world: World): Promise<string> => {
    const goOn = holdAgent(nodeOf(world.lab, CLIENT));
    const waking = setTimeout(goOn, LATE_MS);
    try {
      return await applied(ports)(world);
    } finally {
      clearTimeout(waking);
      goOn();
    }
  };

/** Row 3, with an API server: enabling on live traffic, and what comes after. */
export const policyRows: readonly Row[] = [
  {
    id: '3a',
    title: "policy created, and the client's node hears of it late",
    lossless: true,
    watched: [],
    after: ['udp', 'large', 'icmp', 'back'],
    event: appliedLate('udp/53'),
  },
  {
    id: '3b',
    title: "ports added (tcp/53, tcp/9153), and the client's node hears of it late",
    lossless: true,
    watched: ['udp', 'large', 'icmp', 'back'],
    prepare: async (world) => void (await applied('udp/53')(world)),
    event: appliedLate('udp/53,tcp/53,tcp/9153'),
  },
  {
    id: '3c',
    title: 'a port removed (tcp/53)',
    watched: ['udp', 'large', 'icmp', 'back'],
    after: ['udp', 'large', 'icmp', 'back'],
    event: applied('udp/53,tcp/9153'),
  },
  {
    id: '3d',
    title: 'protocol changed (udp/53 to tcp/53)',
    watched: ['icmp', 'back'],
    after: ['tcp', 'icmp', 'back'],
    event: applied('tcp/53'),
  },
  {
    id: '3e',
    title: 'policy deleted',
    watched: [],
    after: [],
    async event({ lab }) {
      await lab.cluster.deletePolicy();
      await sleep(5_000);
      return undefined;
    },
  },
  {
    id: '3f',
    title: 'policy created again, and servers of it ask one another from its port',
    lossless: true,
    watched: [],
    event: (world) => amongServers(world, () => applied('udp/53,tcp/53,tcp/9153')(world)),
  },
];

const JOINING: PodSpec = { ...PODS.dns1, name: 'joining', address: '172.16.166.151', labels: {} };
const JOINED: PodSpec = { ...JOINING, labels: PODS.dns1.labels };

/** Row 3, what needs no enabling: the policy stays as it is. */
export const serviceRows: readonly Row[] = [
  {
    id: '3g',
    title: 'service retargeted (port 9153 to target port 5353)',
    async event(world) {
      const { lab } = world;
      const spec = {
        name: 'retargeted',
        kind: 'tcp',
        address: PODS.dns1.address,
        port: RETARGETED,
        bytes: 100,
        everyMs: 200,
        marker: MARKER,
      } as const;
      await lab.cluster.put('services.yaml', servicesManifest([], RETARGETED));
      await until('the new target on every node', 20_000 * STRETCH, async () => {
        for (const node of lab.nodes) {
          const ports = (await policiesOf(node)).flatMap(({ selector: { sport, dport } }) => [sport, dport]);
          if (!ports.includes(RETARGETED)) {
            return false;
          }
        }
        return true;
      });
      const from = Date.now();
      const sender = runSender(world, 'client2', [spec]);
      await until('answers of the new target', 20_000 * STRETCH, async () =>
        ledgerOf(world).answeredSince(spec.name, from),
      );
      await sender.stop('SIGKILL');
      // The connection ends.
      await sleep(3_000);
      await lab.cluster.put('services.yaml', servicesManifest());
      return undefined;
    },
  },
  {
    id: '3h',
    title: 'labels of a running pod begin to match',
    async event(world) {
      const { lab } = world;
      await lab.cluster.put('pods.yaml', podsManifest([JOINING]));
      await inStep(nodeOf(lab, 'controller-1'));
      const pod = await attachPod(
        nodeOf(lab, 'controller-1'),
        JOINING,
        await lab.cluster.uidOf('kube-system', 'joining'),
      );
      const server = runServer(world, pod, ['udp/53']);
      await lab.cluster.put('pods.yaml', podsManifest([JOINED]));
      await lab.cluster.put('services.yaml', servicesManifest([JOINED]));
      await until('its policies', 20_000 * STRETCH, async () => {
        const policies = await policiesOf(nodeOf(lab, 'controller-1'));
        return policies.some(({ selector }) => selector.src === `${JOINING.address}/32`);
      });
      const from = Date.now();
      const spec = {
        name: 'joining',
        kind: 'udp',
        address: JOINING.address,
        port: 53,
        bytes: 100,
        everyMs: 100,
        marker: MARKER,
      } as const;
      const sender = runSender(world, 'client2', [spec]);
      await until('answers', 20_000 * STRETCH, async () => ledgerOf(world).answeredSince('joining', from));
      await sender.stop('SIGKILL');
      await server.stop('SIGKILL');
      await detachPod(pod);
      await lab.cluster.put('services.yaml', servicesManifest());
      await lab.cluster.put('pods.yaml', podsManifest());
      return undefined;
    },
  },
];
