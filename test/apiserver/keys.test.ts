import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createCharon } from '../../src/ipsec/charon/client.ts';
import { ViciError } from '../../src/ipsec/vici/error.ts';
import { connectVici } from '../../src/ipsec/vici/session.ts';
import { generateKeys, importPrivateKey, x509 } from '../../src/pki/crypto.ts';
import { createRequest } from '../../src/pki/request.ts';
import { rotationPath } from '../../src/rundir/paths.ts';
import {
  ask,
  certificateOf,
  liars,
  negotiate,
  nodeOf,
  request,
  rolledOver,
} from '../helpers/kube/certificates.ts';
import { testsOverOneLab } from '../helpers/kube/lab-test.ts';
import { namespace, service, slice } from '../helpers/kube/objects.ts';
import { operatorsCa } from '../helpers/unit/operators-ca.ts';
import { ROOT } from '../helpers/unit/root.ts';
import { until } from '../helpers/unit/until.ts';

/** Keys on three nodes: asked for, denied to thieves, rotated, revoked. */
const labTest = testsOverOneLab({
  nodes: ['node-a', 'node-b', 'node-c'],
  certificates: 'request',
  async begin(lab) {
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
  },
});

labTest('every node asks for a certificate and gets it', async (t, lab) => {
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
});

labTest('what is not a node asking for itself is denied, with a reason', async (t, lab) => {
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
});

let recant: () => Promise<void> = async () => undefined;

labTest('nodes whose agents say nonsense of their certificates begin to lie', async (t, lab) => {
  recant = await liars(lab, (await certificateOf(lab, nodeOf(lab, 'node-a')))?.root ?? '');
  t.pass();
});

labTest('a node that is told to rotate has another key and another certificate', async (t, lab) => {
  const node = nodeOf(lab, 'node-a');
  const before = (await certificateOf(lab, node))?.notBefore;
  const file = readFileSync(join(node.pki, 'node.key'), 'utf8');
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
  await recant();
});

labTest('a new CA rolls over every node, and for a while both are trusted', async (t, lab) => {
  const secret = ['secret', 'trapline-ca', '-n', 'trapline-system'];
  const trusted = await rolledOver(t, lab, () =>
    lab.server.kubectl(['annotate', ...secret, 'trapline.io/rotate=now']),
  );
  t.true(trusted.has(2), 'for a while both are trusted');
  await negotiate(nodeOf(lab, 'node-c'), 'node-a');
});

labTest('an intermediate CA of an operator, put into the Secret as the README says', async (t, lab) => {
  const { root, below } = await operatorsCa('rsa-3072', new Date());
  const data = {
    'tls.crt': Buffer.from(`${below.certificate}${root}`).toString('base64'),
    'tls.key': Buffer.from(below.key).toString('base64'),
  };
  const secret = ['secret', 'trapline-ca', '-n', 'trapline-system'];
  await rolledOver(t, lab, () =>
    lab.server.kubectl(['patch', ...secret, '--type=merge', '-p', JSON.stringify({ data })]),
  );
  const text = readFileSync(join(nodeOf(lab, 'node-a').pki, 'ca.crt'), 'utf8');
  const [anchor, ...more] = x509.PemConverter.decode(text).map((der) => new x509.X509Certificate(der));
  t.is(anchor?.subject, 'CN=operators-intermediate', 'the issuing CA is trusted, and not its root');
  t.deepEqual(more, []);
  await negotiate(nodeOf(lab, 'node-b'), 'node-a');
});

labTest('the body of a private key appears nowhere but in its file', async (t, lab) => {
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
});

labTest('the certificate of a Node that was deleted is refused', async (t, lab) => {
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
});
