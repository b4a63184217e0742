import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { parseAllDocuments } from 'yaml';
import { run } from '../../src/exec/execa.ts';
import { assetsFolder } from '../helpers/kube/assets.ts';
import { must } from '../helpers/netns/netns.ts';
import { ROOT } from '../helpers/unit/root.ts';

const assets = assetsFolder();
/** envtest's folder of binaries has none. */
const helm = 'why' in assets ? '' : join(assets.folder, 'helm');

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string };
}

/** By kind and name. */
function manifests(text: string): Map<string, Manifest> {
  const objects = parseAllDocuments(text).flatMap((document) => (document.toJS() ?? []) as Manifest);
  return new Map(objects.map((object) => [`${object.kind} ${object.metadata.name}`, object]));
}

async function rendered(...settings: string[]): Promise<Map<string, Manifest>> {
  const args = ['template', 'trapline', join(ROOT, 'conf/helm/trapline'), '--namespace', 'trapline-system'];
  const env = ['HELM_CACHE_HOME', 'HELM_CONFIG_HOME', 'HELM_DATA_HOME'].map((name) => `${name}=/nonexistent`);
  const command = [helm, ...args, '--kube-version', '1.36.0', ...settings];
  return manifests(
    (await must({ file: '/usr/bin/env', args: [...env, 'HOME=/nonexistent', ...command] }, run)).stdout,
  );
}

const installed = manifests(readFileSync(join(ROOT, 'conf/install.yaml'), 'utf8'));
const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };

if (!existsSync(helm)) {
  console.error(`SKIPPED: apiserver tier: no helm in ${JSON.stringify(assets)}`);
  test.skip('the chart renders what conf/install.yaml says (apiserver tier: no helm)', () => {});
} else {
  test('the chart renders what conf/install.yaml says', async (t) => {
    const chart = await rendered();
    t.deepEqual([...chart.keys()].sort(), [...installed.keys()].sort());
    for (const [key, object] of installed) {
      t.deepEqual(chart.get(key), object, key);
    }
  });

  test('values reach what they name', async (t) => {
    const settings = {
      'image.repository': 'r.example/t',
      'image.tag': 'x',
      'cni.binDir': '/usr/libexec/cni',
      'agent.childSaScope': 'node',
      'controller.replicas': '3',
      phaseLimit: '25',
      'agent.extraArgs[0]': '--rekey-after=1800',
      'namespace.create': 'false',
    };
    const flags = Object.entries(settings).flatMap(([key, value]) => ['--set', `${key}=${value}`]);
    const chart = await rendered(...flags);
    t.false(chart.has('Namespace trapline-system'));
    const daemonSet = JSON.stringify(chart.get('DaemonSet trapline'));
    const texts = ['"r.example/t:x"', '"/usr/libexec/cni"', '--child-sa-scope=node', '--rekey-after=1800'];
    for (const text of [...texts, '--phase-limit=25']) {
      t.true(daemonSet.includes(text), text);
    }
    t.true(JSON.stringify(chart.get('Deployment trapline-controller')).includes('--phase-limit=25'));
    t.is(
      (chart.get('Deployment trapline-controller') as unknown as { spec: { replicas: number } }).spec
        .replicas,
      3,
    );
  });
}

test('the manifests name the version of the package', (t) => {
  t.true(JSON.stringify([...installed.values()]).includes(`localhost/trapline:${version}`));
  t.regex(
    readFileSync(join(ROOT, 'conf/helm/trapline/Chart.yaml'), 'utf8'),
    new RegExp(`appVersion: ${version}\\n`),
  );
});

interface Container {
  readonly name: string;
  readonly securityContext: object;
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
}

interface Workload {
  readonly spec: {
    readonly template: {
      readonly spec: {
        readonly automountServiceAccountToken?: boolean;
        readonly containers: readonly Container[];
        readonly volumes: readonly { readonly name: string; readonly projected?: { sources: object[] } }[];
      };
    };
  };
}

test('the token of the ServiceAccount is mounted into the containers that need it alone', (t) => {
  for (const [key, bearer] of [
    ['DaemonSet trapline', 'agent'],
    ['Deployment trapline-controller', 'controller'],
  ] as const) {
    const { spec } = (installed.get(key) as unknown as Workload).spec.template;
    t.false(spec.automountServiceAccountToken, key);
    const projected = spec.volumes.filter((volume) => volume.projected !== undefined);
    t.deepEqual(
      projected.map(({ name }) => name),
      ['token'],
    );
    const sources = JSON.stringify(projected[0]?.projected?.sources);
    for (const path of ['"path":"token"', '"path":"ca.crt"', '"path":"namespace"']) {
      t.true(sources.includes(path), `${key}: ${path}`);
    }
    const bearers = spec.containers.filter(({ volumeMounts }) =>
      volumeMounts.some(({ name }) => name === 'token'),
    );
    t.deepEqual(
      bearers.map(({ name }) => name),
      [bearer],
    );
    const mount = bearers[0]?.volumeMounts.find(({ name }) => name === 'token');
    t.is(mount?.mountPath, '/var/run/secrets/kubernetes.io/serviceaccount', 'where a client looks for it');
  }
});

test('no container may gain rights, or write to its image', (t) => {
  for (const key of ['DaemonSet trapline', 'Deployment trapline-controller']) {
    for (const container of (installed.get(key) as unknown as Workload).spec.template.spec.containers) {
      t.like(
        container.securityContext,
        { readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
        container.name,
      );
    }
  }
});
