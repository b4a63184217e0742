import { type ChildProcess, spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { env } from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import { run } from '../../../src/exec/execa.ts';
import { createKubeClient, type KubeClient, loadKubeConfig } from '../../../src/kube/client.ts';
import type { Namespace } from '../netns/netns.ts';
import { ROOT } from '../unit/root.ts';
import { assetsFolder } from './assets.ts';

/** A real kube-apiserver with RBAC and a real etcd, on loopback, without controllers or a scheduler. */
export interface ApiServer {
  readonly folder: string;
  /** Of an administrator. */
  readonly kubeconfig: string;
  readonly client: KubeClient;
  readonly url: string;
  /** Runs kubectl as the administrator. @throws Error with what it said */
  readonly kubectl: (args: readonly string[], input?: string) => Promise<string>;
  /** As `kubectl`, for a command that should fail: what it said. */
  readonly refused: (args: readonly string[], input?: string) => Promise<string>;
  /** Writes a kubeconfig for a token. Returns its path. */
  readonly kubeconfigFor: (token: string) => string;
  /** Kills the API server; etcd and its data stay. */
  readonly kill: () => Promise<void>;
  /** Starts it again on the same port. */
  readonly start: () => Promise<void>;
  readonly remove: () => Promise<void>;
}

const ADMIN = 'admin-token';
/** In QEMU everything is some ten times slower. */
const START_MS = env.TRAPLINE_EMULATED === '1' ? 400_000 : 60_000;

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

function startProcess(argv: readonly string[], log: string): ChildProcess {
  const [file = '', ...args] = argv;
  const fd = openSync(log, 'a');
  return spawn(file, args, { stdio: ['ignore', fd, fd] });
}

async function end(child: ChildProcess | undefined): Promise<void> {
  if (child !== undefined && child.exitCode === null && child.signalCode === null) {
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
  }
}

/** Where it runs: a namespace and the address in it that others reach; loopback of the host unless told otherwise. */
export interface ApiServerPlace {
  readonly namespace: Pick<Namespace, 'path' | 'run'>;
  readonly address: string;
}

/** @throws Error with the log of whichever does not start */
export async function startApiServer(place?: ApiServerPlace): Promise<ApiServer> {
  const assets = assetsFolder();
  if ('why' in assets) {
    throw new Error(assets.why);
  }
  const folder = mkdtempSync(join(tmpdir(), 'trapline-kube-'));
  const enter = place === undefined ? [] : ['/usr/bin/nsenter', `--net=${place.namespace.path}`, '--'];
  const address = place?.address ?? '127.0.0.1';
  const inside = place?.namespace.run ?? run;
  const [etcdPort, peerPort, port] = [await freePort(), await freePort(), await freePort()];
  const [etcdUrl, url] = [`http://127.0.0.1:${etcdPort}`, `https://${address}:${port}`];
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  writeFileSync(join(folder, 'sa.key'), privateKey.export({ type: 'pkcs1', format: 'pem' }));
  writeFileSync(join(folder, 'tokens.csv'), `${ADMIN},admin,admin,"system:masters"\n`);
  const etcd = startProcess(
    [
      ...enter,
      join(assets.folder, 'etcd'),
      `--data-dir=${join(folder, 'etcd')}`,
      `--listen-client-urls=${etcdUrl}`,
      `--advertise-client-urls=${etcdUrl}`,
      `--listen-peer-urls=http://127.0.0.1:${peerPort}`,
      `--initial-advertise-peer-urls=http://127.0.0.1:${peerPort}`,
      `--initial-cluster=default=http://127.0.0.1:${peerPort}`,
      '--unsafe-no-fsync',
    ],
    join(folder, 'etcd.log'),
  );
  let api: ChildProcess | undefined;
  const kubeconfigFor = (token: string): string => {
    const path = join(folder, `kubeconfig-${token.slice(-12).replace(/\W/g, '')}`);
    const ca = readFileSync(join(folder, 'certs/apiserver.crt')).toString('base64');
    writeFileSync(
      path,
      stringify({
        apiVersion: 'v1',
        kind: 'Config',
        clusters: [{ name: 'test', cluster: { server: url, 'certificate-authority-data': ca } }],
        users: [{ name: 'test', user: { token } }],
        contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
        'current-context': 'test',
      }),
    );
    return path;
  };
  const start = async (): Promise<void> => {
    api = startProcess(
      [
        ...enter,
        join(assets.folder, 'kube-apiserver'),
        `--etcd-servers=${etcdUrl}`,
        `--secure-port=${port}`,
        `--bind-address=${address}`,
        `--advertise-address=${place?.address ?? '127.0.0.1'}`,
        `--cert-dir=${join(folder, 'certs')}`,
        '--service-account-issuer=https://kubernetes.default.svc',
        `--service-account-key-file=${join(folder, 'sa.key')}`,
        `--service-account-signing-key-file=${join(folder, 'sa.key')}`,
        `--token-auth-file=${join(folder, 'tokens.csv')}`,
        '--authorization-mode=RBAC',
        '--service-cluster-ip-range=10.96.0.0/16',
        // It wants ServiceAccounts that a controller manager would make.
        '--disable-admission-plugins=ServiceAccount',
        '--watch-cache=true',
      ],
      join(folder, 'kube-apiserver.log'),
    );
    const deadline = Date.now() + START_MS;
    const config = (): string => kubeconfigFor(ADMIN);
    for (;;) {
      const ready =
        existsSync(join(folder, 'certs/apiserver.crt')) &&
        (
          await inside({
            file: join(assets.folder, 'kubectl'),
            args: [`--kubeconfig=${config()}`, '--request-timeout=20s', 'get', '--raw', '/readyz'],
            timeoutMs: START_MS,
          })
        ).stdout === 'ok';
      if (ready) {
        return;
      }
      if (Date.now() > deadline || api.exitCode !== null) {
        throw new Error(
          `kube-apiserver did not start:\n${readFileSync(join(folder, 'kube-apiserver.log'), 'utf8').slice(-3_000)}`,
        );
      }
      await sleep(100);
    }
  };
  const remove = async (): Promise<void> => {
    await end(api);
    await end(etcd);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await start();
  } catch (error) {
    await remove();
    throw error;
  }
  const kubeconfig = kubeconfigFor(ADMIN);
  const kubectlRun = (args: readonly string[], input?: string) =>
    inside({
      file: join(assets.folder, 'kubectl'),
      args: [`--kubeconfig=${kubeconfig}`, `--cache-dir=${join(folder, 'kubectl')}`, ...args],
      ...(input === undefined ? {} : { input }),
      timeoutMs: 300_000,
    });
  return {
    folder,
    kubeconfig,
    url,
    client: createKubeClient(loadKubeConfig(kubeconfig)),
    kubeconfigFor,
    async kubectl(args, input) {
      const { exitCode, stdout, stderr } = await kubectlRun(args, input);
      if (exitCode !== 0) {
        throw new Error(`kubectl ${args.join(' ')}: ${stderr.trim()}`);
      }
      return stdout;
    },
    async refused(args, input) {
      const { exitCode, stderr } = await kubectlRun(args, input);
      return exitCode === 0 ? '' : stderr;
    },
    kill: () => end(api),
    start,
    remove,
  };
}

/** The CRDs of conf/crds, ready for use. */
export async function applyCrds({ kubectl }: ApiServer): Promise<void> {
  await kubectl(['apply', '-f', join(ROOT, 'conf/crds')]);
  await kubectl(['wait', '--for=condition=Established', '--timeout=300s', 'crd', '--all']);
}
