import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { XfrmPolicy } from '../../../src/ipsec/plan/types.ts';
import { listPolicies, ownPolicies } from '../../../src/ipsec/xfrm/kernel.ts';
import { initCa, issueNode } from '../../../src/pki/ca.ts';
import { readNodeCache } from '../../../src/rundir/read.ts';
import type { NodeCache } from '../../../src/rundir/schema.ts';
import { type CharonProcess, startCharon } from '../charon/charon.ts';
import { createNamespace, IP, type Namespace } from '../netns/netns.ts';
import { golden, ROOT } from '../unit/root.ts';
import { type ApiServer, applyCrds, startApiServer } from './apiserver.ts';
import { kubeconfigOf } from './service-account.ts';

/** What of a test the lab needs. */
export interface LabContext {
  teardown(end: () => void | Promise<void>): void;
  log(...words: unknown[]): void;
  readonly passed: boolean;
}

/** Three nodes on the host's kernel, with charon and the real agent, an API server between them, and what conf/install.yaml sets up. */
export interface KubeLab {
  readonly server: ApiServer;
  /** Reaches the API server and the nodes. */
  readonly wire: Namespace;
  readonly nodes: readonly KubeNode[];
  readonly startController: (identity: string) => Promise<Daemon>;
  readonly controllerLog: (identity: string) => string;
  /** A kubeconfig for the ServiceAccount, bound to a pod on the node, as kubelet gives it to a pod. */
  readonly kubeconfigOf: (serviceAccount: string, node: string) => Promise<string>;
}

export interface Daemon {
  readonly pid: number;
  readonly stop: (signal: NodeJS.Signals) => Promise<void>;
}

export interface KubeNode {
  readonly name: string;
  readonly podCidr: string;
  readonly namespace: Namespace;
  readonly folder: string;
  readonly runDir: string;
  readonly confDir: string;
  readonly binDir: string;
  readonly charon: CharonProcess;
  agent: Daemon | undefined;
  readonly startAgent: () => Promise<void>;
  readonly policies: () => Promise<XfrmPolicy[]>;
  readonly cache: () => NodeCache | undefined;
  readonly log: () => string;
  readonly pki: string;
}

const API_ADDRESS = '192.0.2.1';
export const AGENT_PORT = 9472;

function start(namespace: Namespace, argv: readonly string[], log: string): Daemon {
  const fd = openSync(log, 'a');
  const child: ChildProcess = spawn('/usr/bin/nsenter', [`--net=${namespace.path}`, '--', ...argv], {
    stdio: ['ignore', fd, fd],
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
  });
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  return {
    pid: child.pid ?? 0,
    async stop(signal) {
      child.kill(signal);
      await gone;
    },
  };
}

async function createWire(t: LabContext): Promise<Namespace> {
  const wire = await createNamespace('wire');
  t.teardown(wire.remove);
  await wire.ip('link', 'add', 'br0', 'type', 'bridge');
  await wire.ip('addr', 'add', `${API_ADDRESS}/24`, 'dev', 'br0');
  await wire.ip('link', 'set', 'br0', 'up');
  return wire;
}

/** `names` become nodes with the addresses 192.0.2.11 and up, and pod CIDRs 10.244.1.0/24 and up. */
export async function createKubeLab(
  t: LabContext,
  names: readonly string[],
  certificates: 'request' | 'files' = 'files',
): Promise<KubeLab> {
  const base = mkdtempSync(join(tmpdir(), 'trapline-kubelab-'));
  t.teardown(() => rmSync(base, { recursive: true, force: true }));
  const wire = await createWire(t);
  const server = await startApiServer({ namespace: wire, address: API_ADDRESS });
  t.teardown(server.remove);
  await applyCrds(server);
  await server.kubectl(['apply', '-f', join(ROOT, 'conf/install.yaml')]);
  const ca = join(base, 'ca');
  await initCa(ca, { days: 10, now: new Date() });

  const nodes: KubeNode[] = [];
  for (const [index, name] of names.entries()) {
    const address = `192.0.2.${11 + index}`;
    const podCidr = `10.244.${index + 1}.0/24`;
    const namespace = await createNamespace(name);
    t.teardown(namespace.remove);
    await wire.ip(
      'link',
      'add',
      `p-${name}`,
      'type',
      'veth',
      'peer',
      'name',
      'eth0',
      'netns',
      namespace.name,
    );
    await wire.ip('link', 'set', `p-${name}`, 'master', 'br0', 'up');
    await namespace.ip('addr', 'add', `${address}/24`, 'dev', 'eth0');
    await namespace.ip('link', 'set', 'eth0', 'up');
    const annotations = { 'trapline.io/pod-cidrs': podCidr, 'trapline.io/addresses': address };
    const object = { apiVersion: 'v1', kind: 'Node', metadata: { name, annotations } };
    await server.kubectl(['apply', '-f', '-'], JSON.stringify(object));
    const folder = join(base, name);
    const [runDir, confDir, binDir] = [join(folder, 'run'), join(folder, 'net.d'), join(folder, 'bin')];
    mkdirSync(confDir, { recursive: true });
    writeFileSync(
      join(confDir, '10-flannel.conflist'),
      readFileSync(golden('install/conflists/flannel.conflist')),
    );
    const pki = join(folder, 'pki');
    if (certificates === 'files') {
      await issueNode({
        caFolder: ca,
        node: name,
        outFolder: pki,
        keyType: 'ecdsa-p256',
        days: 5,
        now: new Date(),
      });
    }
    const charon = await startCharon(namespace);
    t.teardown(() => charon.stop('SIGKILL'));
    const log = join(folder, 'agent.log');
    const node: KubeNode = {
      name,
      podCidr,
      namespace,
      folder,
      runDir,
      confDir,
      binDir,
      charon,
      agent: undefined,
      async startAgent() {
        const kubeconfig = await kubeconfigOf(server, 'trapline-agent', name);
        const args = [
          ['--node-name', name],
          ['--source', 'kubernetes'],
          ['--kubeconfig', kubeconfig],
          ['--run-dir', runDir],
          ['--vici', charon.socket],
          ['--pki-dir', pki],
          ['--certificates', certificates],
          ['--ca-spread', '2'],
          ['--cni-bin-dir', binDir],
          ['--cni-conf-dir', confDir],
          ['--daemonset', 'trapline-system/trapline'],
          ['--listen', `127.0.0.1:${AGENT_PORT}`],
        ].flat();
        node.agent = start(namespace, [join(ROOT, 'pkg/dist/trapline-agent'), 'run', ...args], log);
      },
      policies: async () => ownPolicies(await listPolicies({ run: namespace.run, ip: IP })),
      cache: () => {
        const read = readNodeCache(runDir);
        return read.kind === 'ok' ? read.value : undefined;
      },
      log: () => readFileSync(log, 'utf8'),
      pki,
    };
    t.teardown(async () => {
      await node.agent?.stop('SIGKILL');
      if (!t.passed) {
        t.log(`${name}: ${node.log().slice(-2_000)}`);
      }
    });
    nodes.push(node);
  }

  return {
    server,
    wire,
    nodes,
    kubeconfigOf: (serviceAccount, node) => kubeconfigOf(server, serviceAccount, node),
    controllerLog: (identity) => readFileSync(join(base, `${identity}.log`), 'utf8'),
    async startController(identity) {
      const kubeconfig = await kubeconfigOf(server, 'trapline-controller', names[0] ?? '');
      const argv = [
        join(ROOT, 'pkg/dist/trapline-agent'),
        'controller',
        '--kubeconfig',
        kubeconfig,
        '--identity',
        identity,
        '--certificates',
        certificates,
      ];
      const controller = start(
        wire,
        [...argv, '--namespace', 'trapline-system'],
        join(base, `${identity}.log`),
      );
      t.teardown(async () => {
        await controller.stop('SIGKILL');
        if (!t.passed) {
          t.log(readFileSync(join(base, `${identity}.log`), 'utf8').slice(-2_000));
        }
      });
      return controller;
    },
  };
}
