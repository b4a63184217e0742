import { webcrypto } from 'node:crypto';
import type { ExecutionContext } from 'ava';
import { createCharon } from '../../../src/ipsec/charon/client.ts';
import { connectVici } from '../../../src/ipsec/vici/session.ts';
import { KEY_TYPES, type KeyType, x509 } from '../../../src/pki/crypto.ts';
import { SIGNER_NAME, USAGES } from '../../../src/pki/request.ts';
import { until } from '../unit/until.ts';
import type { KubeLab, KubeNode } from './lab.ts';

/** What tests of the nodes' certificates do in a lab, and ask of it. */

export interface Certificate {
  readonly notBefore: string;
  readonly notAfter: string;
  readonly root: string;
  readonly trusted: readonly string[];
}

export async function certificateOf(
  { server }: KubeLab,
  { name }: KubeNode,
): Promise<Certificate | undefined> {
  const text = await server.kubectl(['get', 'ipsecnode', name, '-o', 'json', '--ignore-not-found']);
  return text === ''
    ? undefined
    : (JSON.parse(text) as { status?: { certificate?: Certificate } }).status?.certificate;
}

export const nodeOf = ({ nodes }: KubeLab, name: string): KubeNode => {
  const found = nodes.find((node) => node.name === name);
  if (found === undefined) {
    throw new Error(`no ${name}`);
  }
  return found;
};

/** An IKE_SA without children: this kernel has no ESP. */
export async function negotiate(from: KubeNode, to: string): Promise<void> {
  const session = await connectVici({ path: from.charon.socket, timeoutMs: 10_000 });
  try {
    const charon = createCharon(session);
    const known = (await charon.listSas()).filter(({ connection }) => connection === `k8s-node-${to}`);
    await charon.forget(known.map(({ uniqueId }) => uniqueId));
    await charon.initiateIke(`k8s-node-${to}`, 15_000);
  } finally {
    await session.close();
  }
}

interface Wish {
  readonly type?: KeyType;
  readonly subject?: string;
  readonly names?: readonly string[];
  readonly extensions?: readonly x509.Extension[];
  readonly weak?: boolean;
}

export async function request({ subject, names = [], extensions = [], weak = false }: Wish): Promise<string> {
  const algorithm = weak
    ? { ...KEY_TYPES['rsa-3072'].algorithm, modulusLength: 1_024 }
    : KEY_TYPES['ecdsa-p256'].algorithm;
  const keys = (await webcrypto.subtle.generateKey(algorithm, true, [
    'sign',
    'verify',
  ])) as webcrypto.CryptoKeyPair;
  const pkcs10 = await x509.Pkcs10CertificateRequestGenerator.create({
    name: subject ?? 'CN=ipsec-node-a',
    keys,
    signingAlgorithm: KEY_TYPES[weak ? 'rsa-3072' : 'ecdsa-p256'].signing,
    extensions: [
      new x509.SubjectAlternativeNameExtension(names.map((value) => ({ type: 'dns', value }))),
      ...extensions,
    ],
  });
  return pkcs10.toString('pem');
}

interface Answer {
  readonly type: string;
  readonly reason: string;
  readonly message: string;
}

/** Files a request with somebody's credentials. Resolves to what it was answered. */
export async function ask(
  { server }: KubeLab,
  kubeconfig: string,
  { name, pem, spec = {} }: { readonly name: string; readonly pem: string; readonly spec?: object },
): Promise<Answer> {
  const body = {
    apiVersion: 'certificates.k8s.io/v1',
    kind: 'CertificateSigningRequest',
    metadata: { name },
    spec: { signerName: SIGNER_NAME, usages: USAGES, request: Buffer.from(pem).toString('base64'), ...spec },
  };
  const path = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
  await server.kubectl(
    ['--kubeconfig', kubeconfig, 'create', '--raw', path, '-f', '-'],
    JSON.stringify(body),
  );
  return await until(`an answer to ${name}`, async () => {
    const { status } = JSON.parse(await server.kubectl(['get', 'csr', name, '-o', 'json'])) as {
      status?: { conditions?: Answer[] };
    };
    return status?.conditions?.[0];
  });
}

/** Until every node has a certificate of another CA than before, and trusts no other. How many each has trusted meanwhile. */
export async function rolledOver(
  t: ExecutionContext,
  lab: KubeLab,
  change: () => Promise<unknown>,
): Promise<ReadonlySet<number>> {
  const before = (await certificateOf(lab, nodeOf(lab, 'node-a')))?.root;
  await change();
  const started = Date.now();
  const trusted = new Set<number>();
  await until(
    'every node has a certificate of the new CA and trusts no other',
    async () => {
      const all = await Promise.all(lab.nodes.map((node) => certificateOf(lab, node)));
      for (const one of all) {
        trusted.add(one?.trusted.length ?? 0);
      }
      return all.every((one) => one !== undefined && one.root !== before && one.trusted.join() === one.root);
    },
    120_000,
  );
  t.log(`CA rolled over on three nodes in ${Date.now() - started} ms`);
  return trusted;
}

/** Nodes whose agents say nonsense of their certificates. Resolves to what takes them away again. */
export async function liars({ server }: KubeLab, root: string): Promise<() => Promise<void>> {
  const words = {
    'liar-zero': { root: '00', trusted: ['00'] },
    'liar-unknown': { root: 'f'.repeat(64), trusted: [] },
    'liar-distrust': { root, trusted: [] },
  };
  for (const [name, certificate] of Object.entries(words)) {
    const node = { apiVersion: 'trapline.io/v1alpha1', kind: 'IPsecNode', metadata: { name } };
    const objects = [{ apiVersion: 'v1', kind: 'Node', metadata: { name } }, node];
    for (const object of objects) {
      await server.kubectl(['create', '-f', '-'], JSON.stringify(object));
    }
    const lastHeartbeat = new Date().toISOString();
    const made = JSON.parse(await server.kubectl(['get', 'ipsecnode', name, '-o', 'json'])) as object;
    const body = JSON.stringify({ ...made, status: { certificate, lastHeartbeat } });
    const path = `/apis/trapline.io/v1alpha1/ipsecnodes/${name}/status`;
    await server.kubectl(['replace', '--raw', path, '-f', '-'], body);
  }
  return async () => {
    for (const name of Object.keys(words)) {
      await server.kubectl(['delete', 'node', name]);
      await server.kubectl(['delete', 'ipsecnode', name]);
    }
  };
}
