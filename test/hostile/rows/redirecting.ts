import { deepEqual, equal, match, ok } from 'node:assert/strict';
import {
  annotated,
  clusterOf,
  DNS,
  DNS_ITEM,
  DNS6,
  dnsService,
  nodeOf,
  policyOf,
  readAs,
  said,
  sliceOf,
  TENANT_ITEM,
  tenantService,
  tenantSlice,
} from '../cluster.ts';
import type { HostileRow, Load, Mutation } from '../row.ts';

const CLAIMS = 'src/cluster/node-claims.ts';
const PLACE = 'src/agent/model/places/place.ts';

/** A slice's `nodeName` counts where the agent of that node confirms it. */
const CONFIRMED: Mutation = {
  file: PLACE,
  from: ' && where.confirmed.get(named)?.has(address) === true',
  to: '',
};
/** The claims of one namespace alone count at an address. */
const ONE_NAMESPACE: Mutation = {
  file: 'src/agent/model/places/contest.ts',
  from: 'winners: [...own.filter(({ node }) => node !== NOWHERE), ...own.filter(({ node }) => node === NOWHERE)]',
  to: 'winners: [...claims].reverse()',
};
const CONFLICT: Mutation = { file: CLAIMS, from: 'conflict(taken, cidr, draft.name) ??', to: '' };
const NEVER: Mutation = { file: CLAIMS, from: 'whyNever(cidr, kind) ??', to: '' };
const OWN_ADDRESS: Mutation = {
  file: CLAIMS,
  from: "(kind === 'CIDR' ? ownAddressIn(cidr, draft) : undefined) ??",
  to: '',
};
const SERVICE_ADDRESS: Mutation = {
  file: CLAIMS,
  from: '(known ? undefined : serviceIn(cidr))',
  to: 'undefined',
};
const OWN_CHILD: readonly Mutation[] = [
  {
    file: 'src/ipsec/plan/child.ts',
    from: 'return children.some(({ name }) => name === own) ? own : (former()?.name ?? own);',
    to: 'return former()?.name ?? own;',
  },
  { file: 'src/agent/model/children.ts', from: 'one.rank - other.rank || (a < b', to: '(a < b' },
];

/** On node a DNS still goes to b, and on b it is still let in from a as ESP alone. */
async function dnsStays(load: Load, objects: Parameters<typeof readAs>[2], address = DNS): Promise<string[]> {
  const before = await readAs(load, 'a', clusterOf());
  const a = await readAs(load, 'a', objects, { previous: before });
  const b = await readAs(load, 'b', objects, { previous: await readAs(load, 'b', clusterOf()) });
  const client = address.includes(':') ? 'fd00:1::9' : '10.244.1.9';
  equal(said(a, 'out', [client, address, 'udp', 53]), 'required b');
  equal(said(b, 'inbound', [client, address, 'udp', 53]), 'required a');
  const first = await readAs(load, 'a', objects);
  equal(said(first, 'out', [client, address, 'udp', 53]), 'required b', 'for an agent without a memory');
  return [...a.problems];
}

const names = (problems: readonly string[], name: string): void =>
  ok(
    problems.some((problem) => problem.includes(name)),
    `no problem names ${name}: ${problems.join('; ')}`,
  );

export const REDIRECTING: readonly HostileRow[] = [
  {
    id: '1a',
    title: "a slice that puts kube-dns' address on another node",
    who: 'namespace user',
    did: 'DNS went to c, which forwarded it to b in the clear',
    now: 'an address lives where the pod CIDRs of nodes say; the slice is reported',
    check: async (load) =>
      names(
        await dnsStays(load, clusterOf([tenantSlice({ addresses: [DNS], nodeName: 'c' })])),
        'tenant/tenant-zz-1',
      ),
    mutation: [CONFIRMED, ONE_NAMESPACE],
  },
  {
    id: '1b',
    title: "a slice with a node's address and the API server's port",
    who: 'namespace user',
    did: 'the API server was a black hole',
    now: 'no tenant protects the address of a node; the slice is reported',
    check: async (load) => {
      for (const nodeName of ['c', 'b', undefined]) {
        const slice = tenantSlice(
          { addresses: ['192.0.2.12'], ...(nodeName === undefined ? {} : { nodeName }) },
          [{ name: 'api', protocol: 'TCP', port: 6443 }],
        );
        const a = await readAs(load, 'a', clusterOf([slice]), { nodeTraffic: true });
        equal(said(a, 'out', ['10.244.1.9', '192.0.2.12', 'tcp', 6443]), 'plaintext');
        equal(said(a, 'out', ['192.0.2.11', '192.0.2.12', 'tcp', 6443]), 'plaintext');
        names(a.problems, 'tenant/tenant-zz-1');
        const b = await readAs(load, 'b', clusterOf([slice]), { strict: true });
        equal(said(b, 'inbound', ['203.0.113.9', '192.0.2.12', 'tcp', 6443]), 'plaintext');
      }
    },
    mutation: {
      file: PLACE,
      from: '(found?.host === true || found?.edge === true) && !mayNameNodes(slice)',
      to: 'false',
    },
  },
  {
    id: '1c',
    title: 'a slice with an address outside of the cluster',
    who: 'namespace user',
    did: 'what went to that address went to a node instead',
    now: 'no policy; the slice is reported',
    check: async (load) => {
      for (const address of ['203.0.113.9', '10.96.0.10', '10.245.0.1']) {
        const slice = tenantSlice({ addresses: [address], nodeName: 'c' });
        const a = await readAs(load, 'a', clusterOf([slice]));
        equal(said(a, 'out', ['10.244.1.9', address, 'tcp', 80]), 'plaintext', address);
        names(a.problems, 'tenant/tenant-zz-1');
      }
    },
    mutation: CONFIRMED,
  },
  {
    id: '1d',
    title: "the same with kube-dns' IPv6 address",
    who: 'namespace user',
    did: 'as 1a',
    now: 'as 1a',
    check: async (load) => {
      await dnsStays(load, clusterOf([tenantSlice({ addresses: [DNS6], nodeName: 'c' })]), DNS6);
      // Another spelling of the same address.
      await dnsStays(load, clusterOf([tenantSlice({ addresses: ['FD00:2:0:0::10'], nodeName: 'c' })]), DNS6);
    },
    mutation: [CONFIRMED, ONE_NAMESPACE],
  },
  {
    id: '1e',
    title: "a slice that adds ports to kube-dns' own address",
    who: 'namespace user',
    did: 'strangers could not reach the metrics port any more, with --strict',
    now: 'the entries of one namespace alone say what is protected at a protected pod',
    check: async (load) => {
      const slice = tenantSlice({
        addresses: [DNS],
        nodeName: 'b',
        targetRef: { kind: 'Pod', name: 'coredns-1', namespace: 'kube-system' },
      });
      for (const endpoint of [slice, tenantSlice({ addresses: [DNS], nodeName: 'b' })]) {
        const b = await readAs(load, 'b', clusterOf([endpoint]), { strict: true });
        equal(said(b, 'inbound', ['203.0.113.9', DNS, 'tcp', 80]), 'plaintext');
        equal(said(b, 'inbound', ['203.0.113.9', DNS, 'udp', 53]), 'required 192.0.2.12');
      }
    },
    mutation: ONE_NAMESPACE,
  },
  {
    id: '1f',
    title: 'a slice with addresses that nobody can have',
    who: 'namespace user',
    did: 'policies for loopback, multicast and link-local addresses; a problem for each address',
    now: 'none; one problem for the slice',
    check: async (load) => {
      const bad = ['127.0.0.1', '0.0.0.0', '224.0.0.1', '169.254.169.254', '255.255.255.255', 'x'];
      const slice = sliceOf(
        'tenant-zz',
        'tenant',
        bad.map((address) => ({ addresses: [address], nodeName: 'c' })),
      );
      const a = await readAs(load, 'a', clusterOf([slice]), { nodeTraffic: true });
      for (const address of bad.slice(0, -1)) {
        equal(said(a, 'out', ['10.244.1.9', address, 'tcp', 80]), 'plaintext', address);
      }
      equal(a.problems.filter((one) => one.includes('tenant/tenant-zz-1')).length, 1);
    },
    mutation: [CONFIRMED, { file: PLACE, from: 'if (special !== undefined)', to: 'if (false)' }],
  },
  {
    id: '1g',
    title: "a slice of another namespace with kube-dns' label",
    who: 'namespace user',
    did: 'nothing; it was kept in memory',
    now: 'nothing',
    check: async (load) => {
      const slice = sliceOf('kube-dns', 'tenant', [{ addresses: ['10.244.3.9'], nodeName: 'c' }]);
      const a = await readAs(load, 'a', clusterOf([slice]), { protectUnlisted: false });
      equal(said(a, 'out', ['10.244.1.9', '10.244.3.9', 'udp', 53]), 'plaintext');
    },
    mutation: {
      file: 'src/cluster/policies/entries.ts',
      from: "nameOf({ ...metadata, name: metadata.labels?.[SERVICE_NAME_LABEL] ?? '' })",
      to: "nameOf({ namespace: 'kube-system', name: metadata.labels?.[SERVICE_NAME_LABEL] ?? '' })",
    },
  },
  ...(
    [
      ['2a', "another node's pod CIDR", '10.244.2.0/24,fd00:2::/64', CONFLICT],
      ['2b', "half of another node's pod CIDR", '10.244.2.0/25', CONFLICT],
      ['2b6', 'the same in IPv6', 'fd00:2::/65', CONFLICT],
      ['2c', "the reader's own pod CIDR", '10.244.1.0/24', CONFLICT],
      ['2d', 'all addresses', '0.0.0.0/0', [NEVER, CONFLICT, OWN_ADDRESS, SERVICE_ADDRESS]],
      ['2d6', 'all addresses of IPv6', '::/0', [NEVER, CONFLICT, OWN_ADDRESS, SERVICE_ADDRESS]],
      ['2e', "the nodes' own addresses", '192.0.2.0/24', [CONFLICT, OWN_ADDRESS]],
      ['2f', 'the Service addresses', '10.96.0.0/16', SERVICE_ADDRESS],
      ['2g', 'one pod', '10.244.2.10/32', CONFLICT],
      ['2h', 'all pods', '10.244.0.0/16', CONFLICT],
    ] as const satisfies readonly (readonly [string, string, string, HostileRow['mutation']])[]
  ).map(
    ([id, what, cidrs, mutation]): HostileRow => ({
      id,
      title: `an annotation trapline.io/pod-cidrs: ${what}`,
      who: 'kubelet',
      did: 'the traffic went to that node; with --routes the route, too',
      now: 'the node that had it keeps it; the Node is reported',
      check: async (load) => {
        const nodes = [nodeOf('a'), nodeOf('b'), annotated('c', { 'trapline.io/pod-cidrs': cidrs })];
        names(await dnsStays(load, clusterOf([], { nodes })), 'Node c');
        const before = await readAs(load, 'a', clusterOf());
        const a = await readAs(load, 'a', clusterOf([], { nodes }), { previous: before });
        const { node, peers } = a.model.content;
        deepEqual(node.podCidrs, before.model.content.node.podCidrs);
        deepEqual(
          peers.find(({ name }) => name === 'b')?.podCidrs,
          before.model.content.peers.find(({ name }) => name === 'b')?.podCidrs,
        );
        ok(!peers.some(({ podCidrs }) => cidrs.split(',').some((cidr) => name0(podCidrs, cidr, peers))));
      },
      mutation,
    }),
  ),
  {
    id: '2i',
    title: 'two Nodes with one spec.podCIDR, or one InternalIP (kubernetes#127792)',
    who: 'broken object',
    did: 'the first by name got the traffic of both',
    now: 'the earlier known one keeps it; the other is reported',
    check: async (load) => {
      const twin = nodeOf('c', { spec: { podCIDR: '10.244.2.0/24', podCIDRs: ['10.244.2.0/24'] } });
      names(await dnsStays(load, clusterOf([], { nodes: [nodeOf('a'), nodeOf('b'), twin] })), 'Node c');
      const same = nodeOf('0', {
        spec: nodeOf('d').spec,
        status: { addresses: [{ type: 'InternalIP', address: '192.0.2.12' }] },
      });
      const nodes = ['a', 'b', 'c'].map((name) => nodeOf(name));
      const before = await readAs(load, 'a', clusterOf());
      const a = await readAs(load, 'a', clusterOf([], { nodes: [same, ...nodes] }), { previous: before });
      equal(said(a, 'out', ['10.244.1.9', DNS, 'udp', 53]), 'required b');
      names(a.problems, 'Node 0');
    },
    mutation: CONFLICT,
  },
  {
    id: '2j',
    title: "Calico's block affinities and CiliumNodes that claim another node's block",
    who: 'kubelet',
    did: 'as 2a',
    now: 'as 2a',
    check: async (load) => {
      const affinity = (node: string, cidr: string) =>
        ({
          kind: 'BlockAffinity',
          metadata: { name: `${node}-${cidr}` },
          spec: { node, cidr, state: 'confirmed' },
        }) as const;
      const own = ['a', 'b', 'c'].map((name, index) => affinity(name, `10.244.${index + 1}.0/24`));
      for (const cidr of ['10.244.2.0/24', '10.244.2.0/26', '0.0.0.0/0']) {
        const before = await readAs(load, 'a', clusterOf([], { blockAffinities: own }));
        const blocks = [...own, affinity('c', cidr)];
        const a = await readAs(load, 'a', clusterOf([], { blockAffinities: blocks }), { previous: before });
        equal(said(a, 'out', ['10.244.1.9', DNS, 'udp', 53]), 'required b', cidr);
        equal(said(a, 'out', ['10.244.1.9', '10.244.2.99', 'udp', 53]), 'required b', cidr);
        ok(a.problems.length > before.problems.length);
      }
      const cilium = (name: string, podCIDRs: string[]) =>
        ({ kind: 'CiliumNode', metadata: { name }, spec: { ipam: { podCIDRs } } }) as const;
      const sound = ['a', 'b', 'c'].map((name, index) => cilium(name, [`10.244.${index + 1}.0/24`]));
      const before = await readAs(load, 'a', clusterOf([], { ciliumNodes: sound }));
      const ciliumNodes = [...sound.slice(0, 2), cilium('c', ['10.244.3.0/24', '10.244.2.0/25'])];
      const a = await readAs(load, 'a', clusterOf([], { ciliumNodes }), { previous: before });
      equal(said(a, 'out', ['10.244.1.9', '10.244.2.99', 'udp', 53]), 'required b');
      names(a.problems, 'Node c');
    },
    mutation: CONFLICT,
  },
  {
    id: '2k',
    title: "an annotation trapline.io/addresses with another node's address",
    who: 'kubelet',
    did: 'two nodes with one address: which certificate answered was chance',
    now: 'the node that had it keeps it; the Node is reported',
    check: async (load) => {
      for (const address of ['192.0.2.12', '192.0.2.11', '127.0.0.1', '10.244.2.10']) {
        const nodes = [nodeOf('a'), nodeOf('b'), annotated('c', { 'trapline.io/addresses': address })];
        const before = await readAs(load, 'a', clusterOf());
        const a = await readAs(load, 'a', clusterOf([], { nodes }), { previous: before });
        const ends = a.connections.map(({ remoteAddrs }) => remoteAddrs.join());
        equal(new Set(ends).size, ends.length, address);
        ok(
          !a.connections.some(({ peer, remoteAddrs }) => peer === 'c' && remoteAddrs.includes(address)),
          address,
        );
        names(a.problems, 'Node c');
      }
    },
    mutation: CONFLICT,
  },
  ...(
    [
      ['3a', "a tenant's item that sorts before kube-dns, with its port", [{ port: 53, targetPort: 53 }]],
      [
        '3b',
        'the same with 200 ports',
        Array.from({ length: 200 }, (_, at) => ({ port: 53 + at, targetPort: 53 + at })),
      ],
      ['3c', "the same with another port that leads to kube-dns'", [{ port: 80, targetPort: 53 }]],
    ] as const
  ).map(
    ([id, title, ports]): HostileRow => ({
      id,
      title,
      who: 'namespace user',
      did: "the item's child carried DNS, and took it down with it when it broke",
      now: 'each entry has a child of its own',
      check: async (load) => {
        const item = { ...TENANT_ITEM, name: 'aaa', servicename: 'aaa', serviceports: 'udp/1-65535' };
        const services = [
          dnsService,
          tenantService,
          {
            ...tenantService,
            metadata: { name: 'aaa', namespace: 'tenant' },
            spec: {
              selector: { app: 'aaa' },
              ports: ports.map((one) => ({ ...one, protocol: 'UDP', name: `p${one.port}` })),
            },
          },
        ];
        const policies = [policyOf('p', DNS_ITEM), policyOf('q', item)];
        const alone = await readAs(load, 'a', clusterOf([], { policies: [policyOf('p', DNS_ITEM)] }));
        const a = await readAs(load, 'a', clusterOf([], { services, policies }), { previous: alone });
        const carrier = (node: typeof a): unknown => {
          const policy = node.policies.find(
            ({ dir, selector: { dst, proto } }) => dir === 'out' && dst === `${DNS}/32` && proto === 'udp',
          );
          return node.connections
            .flatMap(({ children }) => children)
            .find(({ reqid }) => reqid === policy?.template.reqid);
        };
        deepEqual(carrier(a), carrier(alone));
        match((carrier(a) as { name: string }).name, /kube-dns/);
      },
      mutation: OWN_CHILD,
    }),
  ),
];

/** Whether one of the CIDRs that were claimed is in force at another node than b, a or c had it before. */
function name0(
  podCidrs: readonly string[],
  cidr: string,
  peers: readonly { readonly podCidrs: readonly string[] }[],
): boolean {
  return podCidrs.includes(cidr) && peers.filter((peer) => peer.podCidrs.includes(cidr)).length > 1;
}
