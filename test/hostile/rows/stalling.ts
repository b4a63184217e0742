import { deepEqual, equal, ok } from 'node:assert/strict';
import type { announceFailures as announceFailuresOf } from '../../../src/controller/failures.ts';
import {
  annotated,
  clusterOf,
  DNS,
  DNS_ITEM,
  dnsPod,
  dnsService,
  type Node0,
  nodeOf,
  parsed,
  policyOf,
  type Reader,
  readAs,
  said,
  sliceOf,
  tenantService,
  tenantSlice,
} from '../cluster.ts';
import type { HostileRow, Load, Mutation } from '../row.ts';

const DOOR: Mutation = {
  file: 'src/cluster/fields.ts',
  from: 'z.number().int().min(1).max(65535)',
  to: 'z.number()',
};
const BYTES: Mutation = {
  file: 'src/ipsec/plan/connections.ts',
  from: 'bytesOf(children, letters) > CONNECTION_BYTES',
  to: 'false',
};

/** The node enforces, and DNS is as it was. */
async function goesOn(
  load: Load,
  objects: Parameters<typeof readAs>[2],
  reader: Reader = {},
): Promise<Node0> {
  for (const name of ['b', 'a']) {
    const node = await readAs(load, name, objects, reader);
    equal(node.invalid, '', `the cache of ${name}`);
    const port = node.policies.find(({ selector: { sport, dport } }) =>
      [sport, dport].some((one) => !Number.isInteger(one) || one < 0 || one > 65_535),
    );
    equal(port, undefined);
    const flow = ['10.244.1.9', DNS, 'udp', 53] as const;
    equal(said(node, name === 'a' ? 'out' : 'inbound', flow), name === 'a' ? 'required b' : 'required a');
    if (name === 'a') {
      return node;
    }
  }
  throw new Error('unreachable');
}

const PORTS = [70_000, -1, 0.5, 65_536, 1e20, 0];

export const STALLING: readonly HostileRow[] = [
  {
    id: '4a',
    title: 'a slice with port 70000, -1, 0.5, 1e20',
    who: 'namespace user',
    did: 'no node was reconciled any more; ADD of every pod gave code 6',
    now: 'the port is left out, and the slice reported',
    check: async (load) => {
      for (const port of PORTS) {
        for (const name of ['web', 'www']) {
          const raw = tenantSlice({ addresses: ['10.244.3.9'], nodeName: 'c' }, [
            { name, protocol: 'TCP', port },
            { name: 'dns', protocol: 'UDP', port: 53 },
          ]);
          const { objects, problems } = await parsed(load, raw);
          const service = {
            ...tenantService,
            spec: {
              ...tenantService.spec,
              ports: [
                { name: 'web', protocol: 'TCP', port: 80, targetPort: 'www' },
                { name: 'dns', protocol: 'UDP', port: 53, targetPort: 53 },
              ],
            },
          };
          const a = await goesOn(load, clusterOf(objects, { services: [dnsService, service] }));
          if (port !== 0 && name === 'web') {
            ok(
              [...problems, ...a.problems].some((one) => one.includes('tenant-zz-1')),
              `no problem names the slice with port ${port}`,
            );
          }
        }
      }
    },
    mutation: DOOR,
  },
  {
    id: '4b',
    title: 'a container port, or a targetPort, of 70000',
    who: 'namespace user',
    did: 'as 4a (a custom API server, or a folder of manifests)',
    now: 'as 4a',
    check: async (load) => {
      for (const containerPort of PORTS) {
        const pod = await parsed(load, {
          ...dnsPod,
          metadata: { ...dnsPod.metadata, name: 'web', namespace: 'tenant' },
          spec: { nodeName: 'b', containers: [{ ports: [{ name: 'www', containerPort }] }] },
          status: { podIPs: [{ ip: '10.244.2.99' }] },
        });
        await goesOn(load, clusterOf([], { pods: [dnsPod, ...pod.objects] }));
        const service = await parsed(load, {
          ...tenantService,
          spec: {
            selector: { app: 'x' },
            ports: [{ name: 'web', protocol: 'TCP', port: 80, targetPort: containerPort }],
          },
        });
        await goesOn(load, clusterOf([], { services: [dnsService, ...service.objects] }));
      }
    },
    mutation: DOOR,
  },
  {
    id: '4c',
    title: 'an annotation with 10.0.0.0/08, fd00::/064, 010.9.0.0/24',
    who: 'kubelet',
    did: '`ip` reads the length in another base, or refuses it: one typo froze all nodes',
    now: 'leading zeros are decimal, as Kubernetes reads them, and are not passed on; what is no CIDR, or too short, is refused and reported: the node keeps what it had',
    check: async (load) => {
      for (const cidr of [
        '10.9.0.0/08',
        '10.9.0.0/024',
        'fd09::/064',
        '010.9.0.0/24',
        '10.9.0.0/+24',
        '0x0a.9.0.0/24',
      ]) {
        const nodes = [nodeOf('a'), nodeOf('b'), annotated('c', { 'trapline.io/pod-cidrs': cidr })];
        const previous = await readAs(load, 'a', clusterOf());
        const a = await readAs(load, 'a', clusterOf([], { nodes }), { previous });
        const odd = a.policies.find(({ selector: { src, dst } }) =>
          [src, dst].some(
            (one) => /\/0\d|\/\+|^0\d|0x/.test(one) || one.startsWith('10.8') || one === '8.9.0.0/24',
          ),
        );
        equal(odd, undefined, cidr);
        // What Kubernetes reads all the same (leading zeros are decimal) is read as Kubernetes reads it.
        const isRead = a.model.content.peers.some(({ podCidrs }) =>
          podCidrs.some((one) => /^(10.9|fd09)/.test(one)),
        );
        ok(
          isRead || a.problems.some((one) => one.includes('Node c')),
          `no problem names the Node with ${cidr}`,
        );
        await goesOn(load, clusterOf([], { nodes }));
      }
    },
    mutation: {
      file: 'src/ip/remembered.ts',
      from: "canonicalCidr(`${decimal(network)}/${length.replace(/^0+(?=\\d)/, '')}`)",
      to: 'text',
    },
  },
  {
    id: '4d',
    title: 'addresses of a Node that are none',
    who: 'kubelet',
    did: 'the node was treated as gone',
    now: 'the node keeps what it had, and is reported',
    check: async (load) => {
      for (const address of ['192.0.2.300', '192.0.2.13/24', '', 'fe80::1%eth0', 'a'.repeat(9_000)]) {
        const odd = nodeOf('c', { status: { addresses: [{ type: 'InternalIP', address }] } });
        const a = await goesOn(load, clusterOf([], { nodes: [nodeOf('a'), nodeOf('b'), odd] }));
        const said = a.problems.filter((one) => one.startsWith('Node c'));
        ok(said.length === 1, `${said.length} problems of Node c`);
        ok((said[0] ?? '').length < 1_000, 'a problem quotes a part of a long value');
      }
    },
    mutation: {
      file: 'src/cluster/nodes.ts',
      from: 'values: texts.flatMap((text) => canonical(text) ?? [])',
      to: 'values: texts.flatMap((text) => canonical(text) ?? text)',
    },
  },
  {
    id: '5a',
    title: 'annotations of 255 KiB on 400 Services',
    who: 'namespace user',
    did: '408 MiB of heap in an agent that may have 400',
    now: 'nothing is kept that the model does not use',
    check: async (load) => {
      const raw = {
        ...tenantService,
        metadata: {
          ...tenantService.metadata,
          annotations: { note: 'x'.repeat(255 * 1024) },
          labels: { note: 'y'.repeat(60) },
          managedFields: ['z'.repeat(9_000)],
        },
      };
      const note = 'x'.repeat(90_000);
      const all: object[] = [
        raw,
        { ...dnsPod, metadata: { ...dnsPod.metadata, annotations: { note } } },
        {
          ...tenantSlice({ addresses: ['10.244.3.9'] }),
          metadata: {
            name: 's',
            namespace: 'tenant',
            labels: { 'kubernetes.io/service-name': 'tenant-zz', note: 'n'.repeat(9_000) },
            annotations: { note },
          },
        },
        { ...nodeOf('c'), metadata: { name: 'c', annotations: { note } } },
      ];
      const read = await Promise.all(all.map((one) => parsed(load, one)));
      const objects = read.flatMap((one) => one.objects);
      equal(objects.length, all.length);
      for (const object of objects) {
        ok(JSON.stringify(object).length < 4_000, JSON.stringify(object).slice(0, 300));
      }
    },
    mutation: [
      {
        file: 'src/cluster/fields.ts',
        from: 'export const metadata = z.object({',
        to: 'export const metadata = z.looseObject({',
      },
      {
        file: 'src/cluster/sources/bounded.ts',
        from: 'JSON.stringify(object).length <= BOUNDS.charactersPerObject',
        to: 'true',
      },
    ],
  },
  {
    id: '5b',
    title: 'slices of 20,000 addresses of one service',
    who: 'namespace user',
    did: '80,016 policies on every node',
    now: 'a bound per service, then policies by CIDR; reported',
    check: async (load) => {
      const slices = Array.from({ length: 20 }, (_, at) =>
        sliceOf(
          'tenant-zz',
          'tenant',
          Array.from({ length: 1_000 }, (__, index) => ({
            addresses: [`10.244.3.${index % 256}`, `fd00:3::${(1_000 * at + index).toString(16)}`].slice(
              index % 2,
              1 + (index % 2),
            ),
            nodeName: 'c',
          })),
          [{ name: 'web', protocol: 'TCP', port: 80 }],
          `flood-${at}`,
        ),
      );
      const a = await goesOn(load, clusterOf(slices));
      ok(a.policies.length < 30_000, `${a.policies.length} policies`);
      ok(
        a.problems.some((one) => one.includes('tenant-zz') || one.includes('tenant/flood')),
        'no problem names the service',
      );
    },
    mutation: {
      file: 'src/cluster/policies/bounded-slices.ts',
      from: 'slices.length <= BOUNDS.slicesPerService && total <= most',
      to: 'true',
    },
  },
  {
    id: '5c',
    title: '40,000 addresses that no node has',
    who: 'namespace user',
    did: 'a problem for each: 47 s of event loop',
    now: 'one problem for a slice; what is said is bounded',
    check: async (load) => {
      const slices = Array.from({ length: 40 }, (_, at) =>
        sliceOf(
          'tenant-zz',
          'tenant',
          Array.from({ length: 1_000 }, (__, index) => ({
            addresses: [`203.${at}.${index >> 8}.${index & 255}`],
          })),
          [{ name: 'web', protocol: 'TCP', port: 80 }],
          `flood-${at}`,
        ),
      );
      const from = process.threadCpuUsage();
      const a = await goesOn(load, clusterOf(slices));
      const { user } = process.threadCpuUsage(from);
      ok(user < 8_000_000, `${Math.round(user / 1_000)} ms of CPU`);
      ok(a.problems.filter((one) => one.includes('flood')).length <= 40, `${a.problems.length} problems`);
    },
    mutation: {
      file: 'src/agent/model/places/complaints.ts',
      from: '({ slice }) => `${namespaceOf(slice)}/${slice.metadata.name}`',
      to: '({ slice, address }) => `${namespaceOf(slice)}/${slice.metadata.name} ${address}`',
    },
  },
  {
    id: '6a',
    title: 'a wildcard over 700 services',
    who: 'namespace user',
    did: 'the VICI message was over 512 KiB: no connection could be loaded any more',
    now: 'bounded before it is sent; reported',
    check: async (load) => {
      const services = Array.from({ length: 700 }, (_, at) => ({
        ...tenantService,
        metadata: { name: `a-service-of-the-tenant-with-a-long-name-${at}`, namespace: 'tenant' },
        spec: {
          selector: { app: `${at}` },
          ports: Array.from({ length: 8 }, (__, port) => ({
            name: `p${port}`,
            protocol: port % 2 === 0 ? 'TCP' : 'UDP',
            port: 1_000 + 8 * at + port,
          })),
        },
      }));
      const item = {
        name: 'all',
        servicename: '*',
        servicens: 'tenant',
        serviceports: 'tcp/1-65535,udp/1-65535',
      };
      const objects = clusterOf([], {
        services: [dnsService, ...services],
        policies: [policyOf('p', DNS_ITEM), policyOf('q', item)],
      });
      const a = await goesOn(load, objects);
      for (const connection of a.connections) {
        // Roughly what VICI makes of it: names, selectors and a dozen options for each child.
        const bytes = connection.children.reduce(
          (sum, { name, localTs, remoteTs }) =>
            sum + 400 + name.length + [...localTs, ...remoteTs].reduce((all, ts) => all + ts.length + 3, 0),
          0,
        );
        ok(bytes < 500 * 1024, `${bytes} bytes for ${connection.name}`);
      }
    },
    mutation: [
      BYTES,
      {
        file: 'src/cluster/policies/groups.ts',
        from: 'Math.min(BOUNDS.servicesOfItem, Math.floor(1 + share / protocols))',
        to: '9_999',
      },
    ],
  },
  {
    id: '6b',
    title: 'a Service of 250 ports, and a node of 200 pod CIDRs',
    who: 'namespace user',
    did: 'more traffic selectors than IKE has room for (255): IKE_AUTH failed as a whole',
    now: 'coarser selectors; reported',
    check: async (load) => {
      const wide = {
        ...tenantService,
        spec: {
          selector: { app: 'x' },
          ports: Array.from({ length: 250 }, (_, at) => ({
            name: `p${at}`,
            protocol: 'TCP',
            port: 2 * at + 1,
          })),
        },
      };
      const item = {
        name: 'aaa',
        servicename: 'tenant-zz',
        servicens: 'tenant',
        serviceports: 'tcp/1-65535',
      };
      const cidrs = Array.from({ length: 200 }, (_, at) => `10.245.${at}.0/24`);
      const nodes = [
        nodeOf('a'),
        nodeOf('b'),
        nodeOf('c', { spec: { podCIDRs: ['10.244.3.0/24', ...cidrs] } }),
      ];
      const objects = clusterOf([], {
        nodes,
        services: [dnsService, wide],
        policies: [policyOf('p', DNS_ITEM), policyOf('q', item)],
      });
      const a = await goesOn(load, objects);
      for (const { children } of a.connections) {
        for (const { name, localTs, remoteTs } of children) {
          // RFC 7296 3.13: the number of traffic selectors is one octet.
          ok(
            localTs.length <= 255 && remoteTs.length <= 255,
            `${name}: ${localTs.length} and ${remoteTs.length}`,
          );
        }
      }
    },
    mutation: {
      file: 'src/ipsec/plan/connections.ts',
      from: 'cidrs.length * ports.length > TRAFFIC_SELECTORS',
      to: 'false',
    },
  },
  {
    id: '14b',
    title: 'an IPsecNode with 10,000 failures, and a new one each time',
    who: "another node's agent",
    did: 'an Event for each, one request after the other',
    now: 'bounded for a node',
    check: async (load) => {
      const { announceFailures } = await load<{ announceFailures: typeof announceFailuresOf }>(
        'src/controller/failures.ts',
      );
      const { createEventLimit = () => () => ({ granted: true, dropped: 0 }) } = await load<{
        createEventLimit?: (clock: () => number) => (subject: string) => object;
      }>('src/controller/event-limit.ts').catch(() => ({ createEventLimit: undefined }));
      let events = 0;
      const options = {
        client: {
          request: async () => {
            events += 1;
            return {};
          },
        },
        namespace: 'trapline',
        mayWrite: createEventLimit(() => 0),
        now: () => 0,
        log: { warn: () => undefined, info: () => undefined },
      } as unknown as Parameters<typeof announceFailuresOf>[0];
      const announced = new Map<string, ReadonlySet<string>>();
      for (let round = 0; round < 3; round += 1) {
        const failures = Array.from({ length: 10_000 }, (_, at) => ({
          peer: `p${at}`,
          reason: `r${round} ${at}`,
        }));
        const nodes = [{ metadata: { name: 'c', uid: 'u' }, status: { failures } }];
        await announceFailures(
          options,
          nodes as unknown as Parameters<typeof announceFailuresOf>[1],
          announced,
        );
      }
      ok(events < 1_000, `${events} Events`);
      deepEqual([...announced.keys()], ['c']);
    },
    mutation: {
      file: 'src/controller/event-limit.ts',
      from: 'const granted = left >= 1;',
      to: 'const granted = true;',
    },
  },
];
