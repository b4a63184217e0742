import { planAttachment } from '../../src/ipsec/plan/plan.ts';
import type { PlannedAttachment } from '../../src/ipsec/plan/served.ts';
import { renderOperation } from '../../src/ipsec/xfrm/write/render.ts';
import type { NodeCache } from '../../src/rundir/schema.ts';
import { IP } from '../helpers/netns/netns.ts';
import { seedCache } from '../helpers/unit/cache.ts';
import { pluginEnv, podArgs } from '../helpers/unit/cni.ts';
import type { Strand, TimedCall } from './rounds.ts';

export const BURST = 30;
const GO_PLUGINS = '/usr/lib/cni';
const LOCAL_PODS = 250;

export interface Places {
  readonly trapline: string;
  readonly floor: string;
  readonly runDir: string;
  /** Run directory of the large cluster. */
  readonly largeRunDir: string;
  readonly podNetns: string;
  /** `trapline` under its name as IPAM plugin, and a folder for addresses. */
  readonly ipam: string;
  readonly dataDir: string;
}

/** A node of a busy cluster: 250 pods, the seed's service of 3 ports, so many peers. About 50 KB for 3 peers. */
export function benchCache(peers: number): NodeCache {
  const seed = seedCache({ writtenAt: Date.now() });
  const [peer] = seed.peers;
  const names = Array.from({ length: peers }, (_, index) => `worker-${String(index).padStart(4, '0')}`);
  return {
    ...seed,
    node: { ...seed.node, podCidrs: ['10.0.0.0/24'] },
    peers: names.map((name, index) => ({
      ...(peer ?? { addresses: [] }),
      name,
      addresses: [`192.168.${index >> 8}.${index & 255}`],
      podCidrs: [`10.${1 + (index >> 8)}.${index & 255}.0/24`],
      reqids: Object.fromEntries(
        Object.keys(peer?.reqids ?? {}).map((child, number) => [child, 10_000_000 + index * 4 + number]),
      ),
    })),
    pods: Array.from({ length: LOCAL_PODS }, (_, index) => ({
      namespace: 'kube-system',
      name: `pod-${index}`,
      uid: `uid-${index}`,
      // The first BURST pods back the service.
      labels:
        index < BURST
          ? { 'k8s-app': 'kube-dns' }
          : { app: `app-${index}`, 'pod-template-hash': '6d4cf56db6' },
      ports: [{ name: 'metrics', proto: 'tcp', port: 9153 }],
      addresses: [],
    })),
    endpoints: [],
  };
}

/** One of 1,000 nodes, with so many protected pods of the seed's service, 300 more of them on its peers, and all that the agent lays. */
export function largeNode(pods: number): { cache: NodeCache; attachments: PlannedAttachment[] } {
  const cache = benchCache(1_000);
  const [child] = cache.children;
  const ports = [{ proto: 'udp' as const, port: 53, child: child?.name.replace('tcp', 'udp') ?? '' }];
  const endpoints = cache.peers.slice(0, 300).map(({ name, podCidrs: [cidr = ''] }) => ({
    address: cidr.replace('.0/24', '.9'),
    node: name,
    ports,
  }));
  const attachments = Array.from({ length: pods }, (_, pod) => ({
    pod: { namespace: 'kube-system', name: `pod-${pod}`, uid: `uid-${pod}` },
    addresses: [addressOf(pod)],
  }));
  return { cache: { ...cache, endpoints, unlisted: ports }, attachments };
}

interface Attachment {
  readonly pod: number;
  readonly runDir: string;
}

const addressOf = (pod: number): string => `10.0.0.${pod + 2}`;

export function createCases({ trapline, floor, runDir, largeRunDir, podNetns, ipam, dataDir }: Places) {
  const prevResult = (address: string): object => ({
    cniVersion: '1.0.0',
    interfaces: [
      { name: 'cni0', mac: '0a:58:0a:01:00:01' },
      { name: 'eth0', mac: '0a:58:0a:01:00:03', sandbox: podNetns },
    ],
    ips: [{ interface: 1, address: `${address}/24`, gateway: '10.0.0.1' }],
    routes: [{ dst: '0.0.0.0/0' }],
  });
  const target = (pod: number) => ({
    containerId: `bench-${pod}`,
    netns: podNetns,
    ifName: 'eth0',
    args: podArgs('kube-system', `pod-${pod}`, `uid-${pod}`, `bench-${pod}`),
  });
  const call = (path: string, command: string, pod: number, config: object): TimedCall => ({
    argv: [path],
    env: pluginEnv(command, target(pod)),
    stdin: JSON.stringify({
      cniVersion: '1.0.0',
      name: 'pods',
      prevResult: prevResult(addressOf(pod)),
      ...config,
    }),
  });
  const go = (type: string, command: string, pod: number, config: object): TimedCall =>
    call(`${GO_PLUGINS}/${type}`, command, pod, { type, ...config });
  const portmap = (command: string): TimedCall =>
    go('portmap', command, 0, {
      runtimeConfig: { portMappings: [{ hostPort: 18_080, containerPort: 53, protocol: 'udp' }] },
    });
  const tuning = (command: string, pod: number): TimedCall =>
    go('tuning', command, pod, { sysctl: { 'net.ipv4.conf.IFNAME.log_martians': '0' } });
  const ours = (command: string, { pod, runDir: folder }: Attachment): TimedCall =>
    call(trapline, command, pod, { type: 'trapline', runDir: folder, ip: IP });
  const addresses = (path: string, command: string): TimedCall =>
    call(path, command, 0, {
      ipam: { ranges: [[{ subnet: '10.0.0.0/24' }]], dataDir: `${dataDir}/${path === ipam ? 'ours' : 'go'}` },
    });
  const hostLocal = `${GO_PLUGINS}/host-local`;
  const status: TimedCall = {
    argv: [trapline],
    env: { CNI_COMMAND: 'STATUS', CNI_PATH: GO_PLUGINS },
    stdin: JSON.stringify({ cniVersion: '1.1.0', name: 'pods', type: 'trapline', runDir }),
  };

  const unprotected = { pod: LOCAL_PODS - 10, runDir };
  const served = { pod: 0, runDir };
  const large = { pod: 0, runDir: largeRunDir };
  const largePolicies = planAttachment(benchCache(1_000), {
    pod: { namespace: 'kube-system', name: 'pod-0', uid: 'uid-0' },
    addresses: [addressOf(0)],
  });
  const batch = (op: 'add' | 'delete'): TimedCall => ({
    argv: [IP, '-batch', '-'],
    stdin: largePolicies.map((policy) => `${renderOperation({ op, policy })}\n`).join(''),
  });
  const burst = (name: string, calls: (pod: number) => TimedCall): TimedCall => ({
    name,
    argv: [name],
    together: Array.from({ length: BURST }, (_, pod) => calls(pod)),
  });
  const each = (calls: (pod: number) => TimedCall): TimedCall[] =>
    Array.from({ length: BURST }, (_, pod) => calls(pod));

  const small: readonly Strand[] = [
    [{ name: '/bin/true', argv: ['/bin/true'] }],
    [{ name: 'empty executable', argv: [floor] }],
    [
      { ...portmap('ADD'), name: 'portmap ADD' },
      { ...portmap('DEL'), name: 'portmap DEL' },
    ],
    [{ ...tuning('ADD', 0), name: 'tuning ADD' }, tuning('DEL', 0)],
    [
      { ...ours('ADD', unprotected), name: 'ADD, unprotected' },
      { ...ours('DEL', unprotected), name: 'DEL, unprotected' },
    ],
    [
      { ...ours('ADD', served), name: 'ADD, protected' },
      { ...ours('DEL', served), name: 'DEL, protected' },
    ],
    [{ ...status, name: 'STATUS' }],
    [
      { ...addresses(hostLocal, 'ADD'), name: 'host-local ADD' },
      { ...addresses(hostLocal, 'DEL'), name: 'host-local DEL' },
    ],
    [
      { ...addresses(ipam, 'ADD'), name: 'trapline-ipam ADD' },
      { ...addresses(ipam, 'DEL'), name: 'trapline-ipam DEL' },
    ],
  ];
  const bursts: readonly Strand[] = [
    [burst(`${BURST} empty executables at once`, () => ({ argv: [floor] }))],
    [
      burst(`${BURST} tuning ADDs at once`, (pod) => tuning('ADD', pod)),
      ...each((pod) => tuning('DEL', pod)),
    ],
    [
      burst(`${BURST} ADDs at once, protected`, (pod) => ours('ADD', { pod, runDir })),
      ...each((pod) => ours('DEL', { pod, runDir })),
    ],
  ];
  const scale: readonly Strand[] = [
    [
      { ...batch('add'), name: 'ip -batch add, 1,000 peers' },
      { ...batch('delete'), name: 'ip -batch delete, 1,000 peers' },
    ],
    [
      { ...ours('ADD', large), name: 'ADD, 1,000 peers' },
      { ...ours('DEL', large), name: 'DEL, 1,000 peers' },
    ],
    [
      { ...ours('ADD', served), name: 'ADD, protected' },
      { ...ours('DEL', served), name: 'DEL, protected' },
    ],
  ];
  return {
    small,
    bursts,
    scale,
    largePolicies: largePolicies.length,
    add: ours('ADD', served),
    del: ours('DEL', served),
    large: { add: ours('ADD', large), del: ours('DEL', large) },
    status,
  };
}
