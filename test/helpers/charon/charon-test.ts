import { existsSync } from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import type { Charon } from '../../../src/ipsec/charon/charon.ts';
import { createCharon } from '../../../src/ipsec/charon/client.ts';
import type { Credentials } from '../../../src/ipsec/charon/credentials.ts';
import type { ConnectionConfig } from '../../../src/ipsec/plan/types.ts';
import { connectVici, type ViciSession } from '../../../src/ipsec/vici/session.ts';
import { createNamespace, type Namespace } from '../netns/netns.ts';
import { netnsTest } from '../netns/netns-test.ts';
import { createTestCa } from './certificates.ts';
import { CHARON, type CharonOptions, type CharonProcess, startCharon } from './charon.ts';

/** A node of a test: a namespace with a charon in it. */
export interface CharonNode {
  readonly namespace: Namespace;
  readonly process: CharonProcess;
  readonly session: ViciSession;
  readonly charon: Charon;
  /** What `charon` has loaded. */
  readonly identity: Credentials;
  /** A further session, as after the agent's restart. */
  readonly open: () => Promise<Charon>;
}

const ADDRESS = { a: '192.0.2.1', b: '192.0.2.2' } as const;
const POD_CIDR = { a: '10.1.0.0/24', b: '10.2.0.0/24' } as const;
const POD = { a: '10.1.0.1', b: '10.2.0.1' } as const;

type Name = keyof typeof ADDRESS;

/** Both nodes' connections for entries with ports, children sorted as the plan sorts them. */
export function pair(own: Name, entries: Readonly<Record<string, readonly number[]>>): ConnectionConfig {
  const peer = own === 'a' ? 'b' : 'a';
  const served = (node: Name, ports: readonly number[]) =>
    ports.map((port) => `${POD_CIDR[node]}[udp/${port}]`);
  const first = own === 'a' ? 10_000_000 : 10_000_500;
  return {
    name: `k8s-node-${peer}`,
    peer,
    localAddrs: [ADDRESS[own]],
    remoteAddrs: [ADDRESS[peer]],
    localId: `CN=ipsec-${own}`,
    remoteId: `CN=ipsec-${peer}`,
    children: Object.entries(entries).flatMap(([entry, ports]) => {
      const reqid = first + 2 * (ports[0] ?? 0);
      return [
        {
          name: `udp_${entry}_egress`,
          reqid,
          localTs: [`${POD_CIDR[own]}[udp]`],
          remoteTs: served(peer, ports),
        },
        {
          name: `udp_${entry}_ingress`,
          reqid: reqid + 1,
          localTs: served(own, ports),
          remoteTs: [`${POD_CIDR[peer]}[udp]`],
        },
      ];
    }),
  };
}

/** Two nodes a and b with identities, joined by a cable; a pod address of each on its loopback, routed to the other. */
export function charonTest(
  title: string,
  body: (t: ExecutionContext, a: CharonNode, b: CharonNode) => Promise<void>,
  options: Pick<CharonOptions, 'capabilities'> = {},
): void {
  if (!existsSync(CHARON)) {
    console.error(`SKIPPED: netns tier: ${title}: ${CHARON} is missing (Debian package strongswan-charon)`);
    test.skip(`${title} (netns tier: no charon)`, () => {});
    return;
  }
  netnsTest(title, async (t, a) => {
    t.timeout(120_000);
    const b = await createNamespace('charon');
    t.teardown(b.remove);
    await a.ip('link', 'add', 'wire', 'type', 'veth', 'peer', 'name', 'wire', 'netns', b.name);
    const ca = await createTestCa();
    const nodes = [];
    for (const [name, peer, namespace] of [
      ['a', 'b', a],
      ['b', 'a', b],
    ] as const) {
      await namespace.ip('addr', 'add', `${ADDRESS[name]}/24`, 'dev', 'wire');
      await namespace.ip('link', 'set', 'wire', 'up');
      await namespace.ip('addr', 'add', `${POD[name]}/32`, 'dev', 'lo');
      await namespace.ip('route', 'add', POD_CIDR[peer], 'via', ADDRESS[peer], 'src', POD[name]);
      nodes.push(await startNode(t, namespace, { identity: await ca.issue(name), options }));
    }
    await body(t, ...(nodes as [CharonNode, CharonNode]));
  });
}

/** A datagram from a's pod to b's port 53, caught by a policy of ours: the kernel asks charon for the SA. */
export async function trigger({ namespace }: CharonNode, reqid: number): Promise<void> {
  const ends = ['src', '10.1.0.1/32', 'dst', '10.2.0.0/24', 'proto', 'udp', 'dport', '53'];
  const template = ['src', '192.0.2.1', 'dst', '192.0.2.2', 'proto', 'esp', 'reqid', String(reqid)];
  await namespace.ip(
    'xfrm',
    'policy',
    'update',
    ...ends,
    'dir',
    'out',
    'priority',
    '1100',
    'tmpl',
    ...template,
    'mode',
    'tunnel',
  );
  await namespace.run({ file: '/usr/bin/socat', args: ['-u', 'SYSTEM:echo', 'UDP4:10.2.0.1:53'] });
}

async function startNode(
  t: ExecutionContext,
  namespace: Namespace,
  { identity, options }: { readonly identity: Credentials; readonly options: CharonOptions },
): Promise<CharonNode> {
  const process = await startCharon(namespace, {
    ...options,
    settings: 'charon { filelog { stderr { cfg = 2 } } }',
  });
  t.teardown(() => process.stop());
  const connect = async (): Promise<ViciSession> => {
    const session = await connectVici({ path: process.socket, timeoutMs: 60_000 });
    t.teardown(() => session.close());
    return session;
  };
  const session = await connect();
  const charon = createCharon(session);
  await charon.loadCredentials(identity);
  return {
    namespace,
    process,
    session,
    charon,
    identity,
    open: async () => createCharon(await connect()),
  };
}
