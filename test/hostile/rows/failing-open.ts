import { deepEqual, equal, ok } from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { callPlugin as callPluginOf } from '../../../src/cni/plugin.ts';
import type { planHairpin as planHairpinOf } from '../../../src/ipsec/hairpin/plan.ts';
import type { writeNodeCache as writeNodeCacheOf } from '../../../src/rundir/write.ts';
import { podArgs } from '../../helpers/unit/cni.ts';
import { createFakeKernel } from '../../helpers/unit/fake-kernel.ts';
import { annotated, clusterOf, DNS, dnsPod, nodeOf, policyOf, readAs, said } from '../cluster.ts';
import type { HostileRow, Load, Mutation } from '../row.ts';

const GATE: Mutation = { file: 'src/cni/verbs/add.ts', from: "decision.kind === 'closed'", to: 'false' };
const DEPARTED: Mutation = {
  file: 'src/agent/model/departed.ts',
  from: '...(previous?.peers ?? []).map((peer) => ({ ...peer, until: now + DEPARTED_MS })),',
  to: '',
};
const LOST: Mutation = {
  file: 'src/agent/model/places/place.ts',
  from: 'isManaged(slice) ? { lost: address } : {}',
  to: '{}',
};

/**
 * What a call of the plugin on b says, with a node.json that the agent has written and that nothing was made
 * of.
 */
async function callUnenforced(
  load: Load,
  command: string,
  more: object = {},
  config: object = {},
): Promise<string> {
  const { callPlugin } = await load<{ callPlugin: typeof callPluginOf }>('src/cni/plugin.ts');
  const { writeNodeCache } = await load<{ writeNodeCache: typeof writeNodeCacheOf }>('src/rundir/write.ts');
  const runDir = mkdtempSync(join(tmpdir(), 'trapline-hostile-'));
  try {
    const { model } = await readAs(load, 'b', clusterOf());
    const at = Date.now();
    writeNodeCache(runDir, { schema: 1, generation: 1, writtenAt: at, ...model.content, ...more });
    const heartbeat = {
      at,
      uptimeMs: 0,
      pid: 1,
      version: '0',
      charonError: '',
      sourceError: '',
      enforcedGeneration: 0,
      reconcileError: '',
      hairpinError: '',
      problems: [],
    };
    writeFileSync(join(runDir, 'agent.json'), JSON.stringify(heartbeat));
    const kernel = createFakeKernel();
    let clock = at;
    const deps = {
      env: {
        CNI_COMMAND: command,
        CNI_CONTAINERID: 'c0ffee',
        CNI_NETNS: '/dev/null',
        CNI_IFNAME: 'eth0',
        CNI_ARGS: podArgs('kube-system', 'coredns-1', 'uid-1', 'c0ffee'),
        CNI_PATH: '/opt/cni/bin',
      },
      stdin: () =>
        JSON.stringify({
          cniVersion: '1.1.0',
          name: 'pods',
          type: 'trapline',
          runDir,
          ip: '/ip',
          prevResult: {
            cniVersion: '1.1.0',
            interfaces: [{ name: 'eth0', mac: '0a:58:0a:01:00:03', sandbox: '/dev/null' }],
            ips: [{ interface: 0, address: `${DNS}/24` }],
          },
          ...config,
        }),
      run: kernel.run,
      now: () => clock,
      uptime: () => clock - at,
      sleep: async (ms: number) => {
        clock += ms;
      },
      version: '0.0.0-test',
    };
    const { exitCode, stdout } = await callPlugin(deps as Parameters<typeof callPluginOf>[0]);
    return exitCode === 0 ? 'success' : `code ${(JSON.parse(stdout) as { code: number }).code}`;
  } finally {
    rmSync(runDir, { recursive: true, force: true });
  }
}

/** The addresses that a set of the table has, as ranges of numbers; undefined if there is no such set. */
function intervals(text: string): [number, number][] {
  const cidrs = [...text.matchAll(/\b(\d+)\.(\d+)\.(\d+)\.(\d+)(?:\/(\d+))?/g)];
  return cidrs.map(([, a, b, c, d, bits = '32']) => {
    const from = ((Number(a) * 256 + Number(b)) * 256 + Number(c)) * 256 + Number(d);
    return [from, from + 2 ** (32 - Number(bits)) - 1];
  });
}

async function tableOf(load: Load, node: Awaited<ReturnType<typeof readAs>>): Promise<string> {
  const { planHairpin } = await load<{ planHairpin: typeof planHairpinOf }>('src/ipsec/hairpin/plan.ts');
  const { renderTable, tableSets = (one) => one } = await load<{
    renderTable: (sets: unknown) => string;
    tableSets?: (hairpin: unknown) => unknown;
  }>('src/ipsec/hairpin/render.ts');
  const hairpin = planHairpin({ schema: 1, generation: 1, writtenAt: 0, ...node.model.content });
  return hairpin === null ? '' : renderTable(tableSets(hairpin));
}

export const FAILING_OPEN: readonly HostileRow[] = [
  {
    id: '9a',
    title: 'ADD where nothing was ever enforced',
    who: 'broken object',
    did: 'the pod talked in the clear, where `ip` had refused the first batch',
    now: 'code 11 until the first enforcement of this boot',
    check: async (load) => {
      equal(await callUnenforced(load, 'ADD'), 'code 11');
      equal(await callUnenforced(load, 'ADD', {}, { onCacheMiss: 'pass' }), 'code 11');
      // A cache of the boot before.
      equal(await callUnenforced(load, 'ADD', { bootId: 'another boot' }), 'code 11');
    },
    mutation: GATE,
  },
  {
    id: '9b',
    title: 'STATUS where nothing was ever enforced',
    who: 'broken object',
    did: 'it said that all was well',
    now: 'code 50',
    check: async (load) => equal(await callUnenforced(load, 'STATUS'), 'code 50'),
    mutation: { file: 'src/cni/verbs/status.ts', from: "closed !== ''", to: 'false' },
  },
  {
    id: '10a',
    title: 'pod CIDRs that overlap',
    who: 'kubelet',
    did: 'nft refused the whole table: fragments left readable, and the node was Healthy',
    now: 'intervals are merged',
    check: async (load) => {
      const overlapping = ['10.244.3.0/24,10.244.3.0/25', '10.244.3.0/25,10.244.3.128/25,10.244.3.64/26'];
      for (const cidrs of overlapping) {
        for (const name of ['a', 'c']) {
          const nodes = [nodeOf('a'), nodeOf('b'), nodeOf('c')].map((node) =>
            node.metadata.name === name
              ? annotated(name, {
                  'trapline.io/pod-cidrs': cidrs.replaceAll('.3.', name === 'a' ? '.1.' : '.3.'),
                })
              : node,
          );
          const table = await tableOf(load, await readAs(load, 'a', clusterOf([], { nodes })));
          ok(table !== '');
          for (const set of table.matchAll(/elements = \{([^}]*)\}|\{ ((?:[\d./]+(?:, )?)+) \}/g)) {
            const found = intervals(set[1] ?? set[2] ?? '').sort(([x], [y]) => x - y);
            found.reduce<number>((last, [from, to]) => {
              ok(from > last, `${set[0]} overlaps`);
              return to;
            }, -1);
          }
        }
      }
    },
    mutation: {
      file: 'src/ipsec/hairpin/plan.ts',
      from: '= mergeCidrs(texts)',
      to: '= { cidrs: [...texts], refused: [] }',
    },
  },
  {
    id: '13a',
    title: 'a node that leaves, with tcp/*, *, or --unlisted-endpoints pass',
    who: 'kubelet',
    did: 'what was sent to its pods went out in the clear',
    now: 'nothing is sent there for 20 minutes',
    check: async (load) => {
      const nodes = [nodeOf('a'), nodeOf('c')];
      for (const serviceports of ['udp/*', '*', 'udp/53']) {
        const item = { name: 'kube-dns', servicename: 'kube-dns', servicens: 'kube-system', serviceports };
        const policies = [policyOf('p', item)];
        for (const protectUnlisted of serviceports === 'udp/53' ? [false] : [true, false]) {
          const previous = await readAs(load, 'a', clusterOf([], { policies }), { protectUnlisted });
          const a = await readAs(load, 'a', clusterOf([], { nodes, policies }), {
            protectUnlisted,
            previous,
          });
          const out = said(a, 'out', ['10.244.1.9', DNS, 'udp', 53]);
          ok(out.startsWith('required'), `${serviceports}, ${protectUnlisted}: ${out}`);
        }
      }
    },
    mutation: [DEPARTED, LOST],
  },
  {
    id: '13b',
    title: 'departed and former pod CIDRs, and masquerading',
    who: 'kubelet',
    did: "bridge's ipMasq took such traffic past its policies",
    now: 'they are in the sets of the node table',
    check: async (load) => {
      const previous = await readAs(load, 'a', clusterOf());
      const moved = nodeOf('a', { spec: { podCIDRs: ['10.244.9.0/24'] } });
      const a = await readAs(load, 'a', clusterOf([], { nodes: [moved, nodeOf('c')] }), { previous });
      const table = await tableOf(load, a);
      const found = intervals(table);
      const missing = [1, 2, 3, 9].filter((third) => {
        const [[address = 0] = []] = intervals(`10.244.${third}.7`);
        return !found.some(([from, to]) => from <= address && address <= to);
      });
      deepEqual(missing, [], 'pod CIDRs 10.244.x.0/24 that are missing in the table');
    },
    mutation: {
      file: 'src/ipsec/hairpin/plan.ts',
      from: '[...peers, ...departed].flatMap',
      to: '[...peers].flatMap',
    },
  },
  {
    id: '13c',
    title: 'the pod of a node that leaves is served here as well',
    who: 'broken object',
    did: 'nothing',
    now: 'nothing',
    check: async (load) => {
      const pods = [
        { ...dnsPod, spec: { ...dnsPod.spec, nodeName: 'a' }, status: { podIPs: [{ ip: '10.244.1.10' }] } },
      ];
      const previous = await readAs(load, 'a', clusterOf([], { pods }));
      const a = await readAs(load, 'a', clusterOf([], { pods, nodes: [nodeOf('a'), nodeOf('c')] }), {
        previous,
      });
      equal(said(a, 'inbound', ['10.244.3.9', '10.244.1.10', 'udp', 53]), 'required c');
      equal(said(a, 'inbound', ['10.244.2.9', '10.244.1.10', 'udp', 53]).split(' ')[0], 'required');
    },
    mutation: DEPARTED,
  },
];
