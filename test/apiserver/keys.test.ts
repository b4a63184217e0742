import { webcrypto } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { createCharon } from '../../src/ipsec/charon/client.ts';
import { ViciError } from '../../src/ipsec/vici/error.ts';
import { connectVici } from '../../src/ipsec/vici/session.ts';
import { fingerprint } from '../../src/pki/certificate.ts';
import { generateKeys, importPrivateKey, KEY_TYPES, type KeyType, x509 } from '../../src/pki/crypto.ts';
import { createRequest, SIGNER_NAME, USAGES } from '../../src/pki/request.ts';
import { rotationPath } from '../../src/rundir/paths.ts';
import { assetsFolder } from '../helpers/kube/assets.ts';
import { createKubeLab, type KubeLab, type KubeNode } from '../helpers/kube/lab.ts';
import { namespace, service, slice } from '../helpers/kube/objects.ts';
import { netnsUnavailable } from '../helpers/netns/netns.ts';
import { operatorsCa } from '../helpers/unit/operators-ca.ts';
import { ROOT } from '../helpers/unit/root.ts';
import { until } from '../helpers/unit/until.ts';

const assets = assetsFolder();
const unavailable = 'why' in assets ? assets.why : await netnsUnavailable();

interface Certificate {
  readonly notBefore: string;
  readonly notAfter: string;
  readonly root: string;
  readonly trusted: readonly string[];
}

async function certificateOf({ server }: KubeLab, { name }: KubeNode): Promise<Certificate | undefined> {
  const text = await server.kubectl(['get', 'ipsecnode', name, '-o', 'json', '--ignore-not-found']);
  return text === ''
    ? undefined
    : (JSON.parse(text) as { status?: { certificate?: Certificate } }).status?.certificate;
}

const nodeOf = ({ nodes }: KubeLab, name: string): KubeNode => {
  const found = nodes.find((node) => node.name === name);
  if (found === undefined) {
    throw new Error(`no ${name}`);
  }
  return found;
};

/** An IKE_SA without children: this kernel has no ESP. */
async function negotiate(from: KubeNode, to: string): Promise<void> {
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

async function request({ subject, names = [], extensions = [], weak = false }: Wish): Promise<string> {
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
async function ask(
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

if (unavailable !== undefined) {
  console.error(`SKIPPED: apiserver tier: ${unavailable}`);
  test.skip(`keys on three nodes (apiserver tier: ${unavailable})`, () => {});
} else {
  test.serial('keys on three nodes: asked for, denied to thieves, rotated, revoked', async (t) => {
    t.timeout(420_000);
    const lab = await createKubeLab(t, ['node-a', 'node-b', 'node-c'], 'request');
    const ports = [{ name: 'dns', port: 53, protocol: 'UDP' }];
    const dns = service('kube-system', 'kube-dns', ports);
    const endpoint = { service: 'kube-dns', address: '10.244.2.10', nodeName: 'node-b', port: 53 };
    const objects = [namespace('cert-manager'), dns, slice('kube-system', 'kube-dns-1', endpoint)];
    for (const { path, body } of objects) {
      await lab.server.kubectl(['create', '--raw', path, '-f', '-'], JSON.stringify(body));
    }
    await lab.server.kubectl(['apply', '-f', join(ROOT, 'conf/examples/ipsecpolicy-kube-dns-sample.yaml')]);
    await lab.startController('controller-1');
    for (const node of lab.nodes) {
      await node.startAgent();
    }
    const first = await enrolment(t, lab);
    await thieves(t, lab);
    await rotation(t, lab, first);
    await newAuthority(t, lab);
    await operatorsAuthority(t, lab);
    await secrecy(t, lab);
    await revocation(t, lab);
  });
}

async function enrolment(t: ExecutionContext, lab: KubeLab): Promise<Certificate[]> {
  const started = Date.now();
  const certificates = await Promise.all(
    lab.nodes.map((node) => until(`a certificate on ${node.name}`, () => certificateOf(lab, node))),
  );
  t.log(`three nodes have certificates ${Date.now() - started} ms after their agents began`);
  t.is(new Set(certificates.map(({ root }) => root)).size, 1);
  const [node] = lab.nodes;
  const [own] = x509.PemConverter.decode(readFileSync(join(node?.pki ?? '', 'node.crt'), 'utf8'));
  const certificate = new x509.X509Certificate(own ?? '');
  t.is(certificate.subject, 'CN=ipsec-node-a');
  const days = (certificate.notAfter.getTime() - certificate.notBefore.getTime()) / 86_400_000;
  t.true(days > 29 && days < 31, `${days} days`);
  await until('an IKE_SA between two nodes', async () => {
    try {
      await negotiate(nodeOf(lab, 'node-a'), 'node-b');
      return true;
    } catch (error) {
      t.true(error instanceof ViciError);
      return false;
    }
  });
  return certificates;
}

async function thieves(t: ExecutionContext, lab: KubeLab): Promise<void> {
  const own = 'ipsec-node-a';
  await lab.server.kubectl(['create', 'serviceaccount', 'other', '-n', 'trapline-system']);
  const [agent, other] = [
    await lab.kubeconfigOf('trapline-agent', 'node-a'),
    await lab.kubeconfigOf('other', 'node-a'),
  ];
  // Whoever can file requests at all: RBAC stops the others before the controller sees them.
  const rights = ['create', 'clusterrole', 'files-requests', '--verb=create,get'];
  await lab.server.kubectl([...rights, '--resource=certificatesigningrequests.certificates.k8s.io']);
  const binding = ['create', 'clusterrolebinding', 'other-files-requests', '--clusterrole=files-requests'];
  await lab.server.kubectl([...binding, '--serviceaccount=trapline-system:other']);
  const fine = await request({ names: [own] });
  const authority = new x509.BasicConstraintsExtension(true, 1, true);
  const usage = new x509.ExtendedKeyUsageExtension(['1.3.6.1.5.5.7.3.3']);
  const cases = [
    [
      'wrong-node',
      agent,
      { pem: await request({ subject: 'CN=ipsec-node-b', names: ['ipsec-node-b'] }) },
      'WrongNode',
    ],
    ['other-account', other, { pem: fine }, 'WrongRequester'],
    ['admin', lab.server.kubeconfig, { pem: fine }, 'WrongRequester'],
    ['names', agent, { pem: await request({ names: ['ipsec-node-b'] }) }, 'WrongNames'],
    ['more-names', agent, { pem: await request({ names: [own, 'ipsec-node-b'] }) }, 'WrongNames'],
    [
      'authority',
      agent,
      { pem: await request({ names: [own], extensions: [authority] }) },
      'AuthorityRequested',
    ],
    [
      'extension',
      agent,
      { pem: await request({ names: [own], extensions: [usage] }) },
      'UnexpectedExtension',
    ],
    ['weak', agent, { pem: await request({ names: [own], weak: true }) }, 'WeakKey'],
    [
      'subject',
      agent,
      { pem: await request({ subject: 'CN=ipsec-node-a, O=x', names: [own] }) },
      'WrongSubject',
    ],
    ['usages', agent, { pem: fine, spec: { usages: ['digital signature', 'code signing'] } }, 'WrongUsages'],
    ['life', agent, { pem: fine, spec: { expirationSeconds: 31 * 86_400 } }, 'LifeTooLong'],
  ] as const;
  for (const [name, kubeconfig, content, reason] of cases) {
    const { type, reason: found, message } = await ask(lab, kubeconfig, { name, ...content });
    t.deepEqual([type, found], ['Denied', reason], `${name}: ${message}`);
  }
  const events = await lab.server.kubectl([
    ...['get', 'events', '-n', 'default', '-o', 'custom-columns=R:.reason,O:.involvedObject.name'],
  ]);
  for (const [name, , , reason] of cases) {
    t.regex(events, new RegExp(`${reason} +${name}`));
  }
  // A pod that is bound to no node has no node in its token.
  const token = {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: { expirationSeconds: 3_600 },
  };
  const path = '/api/v1/namespaces/trapline-system/serviceaccounts/trapline-agent/token';
  const answer = await lab.server.kubectl(['create', '--raw', path, '-f', '-'], JSON.stringify(token));
  const unbound = lab.server.kubeconfigFor(
    (JSON.parse(answer) as { status: { token: string } }).status.token,
  );
  t.is((await ask(lab, unbound, { name: 'unbound', pem: fine })).reason, 'TokenOfNoNode');
  const keys = await generateKeys('ecdsa-p384');
  const signer = await importPrivateKey(
    x509.PemConverter.encode(await crypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY'),
  );
  t.is(
    (await ask(lab, agent, { name: 'fine', pem: await createRequest('node-a', signer) })).type,
    'Approved',
  );
}

async function rotation(t: ExecutionContext, lab: KubeLab, first: readonly Certificate[]): Promise<void> {
  const node = nodeOf(lab, 'node-a');
  const [before, file] = [first[0]?.notBefore, readFileSync(join(node.pki, 'node.key'), 'utf8')];
  writeFileSync(rotationPath(node.runDir), '');
  const started = Date.now();
  await until('another certificate', async () => {
    const now = (await certificateOf(lab, node))?.notBefore;
    return now !== undefined && now !== before;
  });
  t.log(`asked for, in force and told ${Date.now() - started} ms later`);
  t.not(readFileSync(join(node.pki, 'node.key'), 'utf8'), file, 'the key is new as well');
  t.deepEqual(readdirSync(node.pki).sort(), ['ca.crt', 'node.crt', 'node.key']);
  await negotiate(nodeOf(lab, 'node-b'), 'node-a');
}

async function newAuthority(t: ExecutionContext, lab: KubeLab): Promise<void> {
  const secret = ['secret', 'trapline-ca', '-n', 'trapline-system'];
  const trusted = await rolledOver(t, lab, () =>
    lab.server.kubectl(['annotate', ...secret, 'trapline.io/rotate=now']),
  );
  t.true(trusted.has(2), 'for a while both are trusted');
  await negotiate(nodeOf(lab, 'node-c'), 'node-a');
}

/** An intermediate CA put into the Secret as the README says. */
async function operatorsAuthority(t: ExecutionContext, lab: KubeLab): Promise<void> {
  const { root, below } = await operatorsCa('rsa-3072', new Date());
  const data = {
    'tls.crt': Buffer.from(`${below.certificate}${root}`).toString('base64'),
    'tls.key': Buffer.from(below.key).toString('base64'),
  };
  const secret = ['secret', 'trapline-ca', '-n', 'trapline-system'];
  await rolledOver(t, lab, () =>
    lab.server.kubectl(['patch', ...secret, '--type=merge', '-p', JSON.stringify({ data })]),
  );
  const [certificate] = x509.PemConverter.decode(root);
  const now = await certificateOf(lab, nodeOf(lab, 'node-a'));
  t.is(now?.root, fingerprint(new x509.X509Certificate(certificate ?? '')));
  t.is(
    x509.PemConverter.decode(readFileSync(join(nodeOf(lab, 'node-a').pki, 'node.crt'), 'utf8')).length,
    2,
    'with what leads to the root',
  );
  await negotiate(nodeOf(lab, 'node-b'), 'node-a');
}

/** Until every node has a certificate of another CA than before, and trusts no other. How many each has trusted meanwhile. */
async function rolledOver(
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

/** The body of a private key, and each line of it, appears nowhere but in its file. */
async function secrecy(t: ExecutionContext, lab: KubeLab): Promise<void> {
  const objects = await Promise.all(
    ['csr', 'ipsecnodes', 'configmaps', 'events', 'ipsecpolicies', 'nodes'].map((kind) =>
      lab.server.kubectl(['get', kind, '-A', '-o', 'yaml']),
    ),
  );
  const commands = readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      } catch {
        return '';
      }
    });
  for (const node of lab.nodes) {
    const pem = readFileSync(join(node.pki, 'node.key'), 'utf8');
    t.is(statSync(join(node.pki, 'node.key')).mode & 0o777, 0o600);
    t.is(statSync(node.pki).mode & 0o077, 0);
    const lines = pem.split('\n').filter((line) => line !== '' && !line.startsWith('---'));
    t.true(lines.length >= 2);
    const logs = [node.log(), node.charon.log(), lab.controllerLog('controller-1')];
    for (const text of [...objects, ...commands, ...logs]) {
      t.false(lines.some((line) => text.includes(line)) || text.includes('PRIVATE KEY'));
    }
  }
}

async function revocation(t: ExecutionContext, lab: KubeLab): Promise<void> {
  const stolen = nodeOf(lab, 'node-c');
  // Its agent tells it nothing any more, and it has all that it needs.
  await stolen.agent?.stop('SIGKILL');
  await negotiate(stolen, 'node-a');
  await lab.server.kubectl(['delete', 'node', 'node-c']);
  const started = Date.now();
  await until('the certificate of a Node that was deleted is refused', async () => {
    try {
      await negotiate(stolen, 'node-a');
      return false;
    } catch {
      return true;
    }
  });
  const session = await connectVici({ path: nodeOf(lab, 'node-a').charon.socket, timeoutMs: 10_000 });
  const sas = await createCharon(session).listSas();
  await session.close();
  t.deepEqual(
    sas.filter(({ connection }) => connection === 'k8s-node-node-c'),
    [],
  );
  t.log(`refused ${Date.now() - started} ms after the Node was deleted`);
  const { reason } = await ask(lab, await lab.kubeconfigOf('trapline-agent', 'node-c'), {
    name: 'deleted',
    pem: await request({ subject: 'CN=ipsec-node-c', names: ['ipsec-node-c'] }),
  });
  t.is(reason, 'UnknownNode');
}
