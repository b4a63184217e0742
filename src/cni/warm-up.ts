import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { runSync } from '../exec/sync.ts';
import type { Run } from '../exec/types.ts';
import { IPAM_NAME } from '../ipam/name.ts';
import { callIpam } from '../ipam/plugin.ts';
import { bootIdOf } from '../rundir/gate.ts';
import type { Heartbeat } from '../rundir/heartbeat.ts';
import { attachmentsDir, cachePath, heartbeatPath } from '../rundir/paths.ts';
import { CACHE_SCHEMA, type NodeCache } from '../rundir/schema.ts';
import type { PluginDeps } from './call.ts';
import type { Verb } from './environment.ts';
import { callPlugin } from './plugin.ts';
import type { Outcome } from './protocol.ts';

const CNI_VERSION = '1.1.0';
const LABELS = { app: 'a' };

/** A cache of a node with one protected pod and one peer. */
const CACHE: Omit<NodeCache, 'writtenAt'> = {
  schema: CACHE_SCHEMA,
  generation: 1,
  childSaScope: 'service',
  mesh: false,
  node: { name: 'a', addresses: ['192.0.2.1'], podCidrs: ['10.1.0.0/24'] },
  peers: [
    {
      name: 'b',
      addresses: ['192.0.2.2'],
      podCidrs: ['10.2.0.0/24'],
      reqids: { udp_s_egress: 10_000_000, udp_s_ingress: 10_000_001 },
    },
  ],
  children: [{ name: 'udp_s', proto: 'udp', ports: [53] }],
  entries: [
    {
      name: 's',
      namespace: 'n',
      service: 's',
      selector: LABELS,
      families: [4],
      ports: [{ proto: 'udp', target: 53 }],
    },
  ],
  pods: [{ namespace: 'n', name: 'p', uid: 'u', labels: LABELS, ports: [], addresses: [] }],
  localEndpoints: [],
  endpoints: [],
};

const HEARTBEAT: Omit<Heartbeat, 'at'> = {
  pid: 1,
  version: '',
  charonError: '',
  sourceError: '',
  enforcedGeneration: 1,
  reconcileError: '',
  hairpinError: '',
  problems: [],
};

const ENV = {
  CNI_CONTAINERID: 'c',
  // Any file will do, except the network namespace of this process.
  CNI_NETNS: '/proc/self/ns/uts',
  CNI_IFNAME: 'eth0',
  CNI_PATH: '/',
  CNI_ARGS: 'K8S_POD_NAMESPACE=n;K8S_POD_NAME=p;K8S_POD_UID=u',
};

const PREV_RESULT = {
  cniVersion: CNI_VERSION,
  interfaces: [{ name: 'eth0', sandbox: '/n' }],
  ips: [{ address: '10.1.0.3/24', interface: 0 }],
};

/**
 * Runs once, while the start-up snapshot is built. Code that has run is in the snapshot in compiled form, and
 * costs a call nothing. Runs ADD, DEL and STATUS of `trapline` and ADD and DEL of `trapline-ipam`, in a
 * temporary folder and with an imitation of `ip`; then a command that does nothing. Throws if a call fails.
 */
export async function warmUp(): Promise<void> {
  const runDir = mkdtempSync('/tmp/trapline-warm-up-');
  try {
    mkdirSync(attachmentsDir(runDir));
    writeFileSync(cachePath(runDir), JSON.stringify({ ...CACHE, writtenAt: Date.now(), bootId: bootIdOf() }));
    writeFileSync(
      heartbeatPath(runDir),
      JSON.stringify({ ...HEARTBEAT, at: Date.now(), uptimeMs: performance.now() }),
    );
    const trapline = { type: 'trapline', runDir, ip: '/ip' };
    const ipam = { type: IPAM_NAME, dataDir: runDir, ranges: [[{ subnet: '10.1.0.0/24' }]] };
    const run = rehearsedIp();
    await rehearse(callPlugin, 'ADD', { ...trapline, prevResult: PREV_RESULT }, run);
    await rehearse(callPlugin, 'DEL', { ...trapline, prevResult: PREV_RESULT }, run);
    await rehearse(callPlugin, 'STATUS', trapline, run);
    await rehearse(callIpam, 'ADD', { ipam }, run);
    await rehearse(callIpam, 'DEL', { ipam }, run);
    await runSync({ file: '/bin/cat', args: [], input: ' ' });
  } finally {
    rmSync(runDir, { recursive: true });
  }
}

async function rehearse(
  call: (deps: PluginDeps) => Promise<Outcome>,
  verb: Verb,
  config: object,
  run: Run,
): Promise<void> {
  const { exitCode, stdout } = await call({
    env: { ...ENV, CNI_COMMAND: verb },
    stdin: () => JSON.stringify({ cniVersion: CNI_VERSION, name: 'n', ...config }),
    run,
    now: Date.now,
    uptime: () => performance.now(),
    sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    version: '',
  });
  if (exitCode !== 0) {
    throw new Error(`${verb} while the snapshot is built: ${stdout}`);
  }
}

const OPERATION =
  /^xfrm policy (\w+) (dir (\S+) (src .*?))(?: priority (\d+) tmpl (src \S+ dst \S+) (proto .*) level .*)?$/;

/** An imitation of `ip`: takes the policies that are added, and prints each when asked for it. */
function rehearsedIp(): Run {
  const policies = new Map<string, string>();
  const answer = (line: string): string => {
    const [, operation, place = '', dir, selector = '', priority, template, esp] = OPERATION.exec(line) ?? [];
    switch (operation) {
      case 'add':
        policies.set(
          place,
          `${selector.replace('proto 17', 'proto udp')} \n\tdir ${dir} priority ${priority} ptype main \n\ttmpl ${template}\n\t\t${esp}\n`,
        );
        return '';
      case 'get':
        return policies.get(place) ?? '';
      case 'delete':
        return '';
      default:
        return '\t SPD IN  0 OUT 0 FWD 0\n';
    }
  };
  return async ({ input = '' }) => ({
    exitCode: 0,
    stdout: input.trimEnd().split('\n').map(answer).join(''),
    stderr: '',
  });
}
