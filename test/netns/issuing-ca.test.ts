import type { Credentials } from '../../src/ipsec/charon/credentials.ts';
import { anchorOf } from '../../src/pki/anchor.ts';
import { type Authority, certify, parseAuthority } from '../../src/pki/authority.ts';
import { exportPrivateKey, generateKeys, x509 } from '../../src/pki/crypto.ts';
import { checkIdentity } from '../../src/pki/identity.ts';
import { type CharonNode, charonTest, pair } from '../helpers/charon/charon-test.ts';
import { operatorsCa } from '../helpers/unit/operators-ca.ts';

/** An identity of a node by a CA, as the agent gets it, which trusts these certificates. */
async function issue(node: string, ca: Authority, trusted: readonly x509.X509Certificate[]) {
  const keys = await generateKeys('ecdsa-p256');
  const publicKey = await x509.PublicKey.create(keys.publicKey);
  const certificate = await certify(ca, { node, publicKey, days: 2, now: new Date() });
  const files = {
    authorities: trusted.map((one) => one.toString('pem')).join('\n'),
    // As an operator may put it into the folder: with what leads to a root.
    certificate: `${certificate}${ca.certificate.toString('pem')}\n`,
    privateKey: await exportPrivateKey(keys.privateKey),
    names: { authorities: 'ca.crt', certificate: 'node.crt', privateKey: 'node.key' },
  };
  return await checkIdentity(files, node, new Date());
}

async function work({ charon }: CharonNode, own: 'a' | 'b', credentials: Credentials): Promise<void> {
  await charon.loadCredentials(credentials);
  await charon.reconcile([pair(own, { dns: [53] })]);
  await charon.forgetFormerKeys();
  await charon.forgetAuthorities(credentials);
}

/** An IKE_SA that b asks a for, and ends. */
async function meet({ charon }: CharonNode): Promise<void> {
  await charon.initiateIke('k8s-node-a', 30_000);
  await charon.endIke((await charon.listSas()).map(({ uniqueId }) => uniqueId));
}

charonTest('only the issuing CA is trusted, and nothing else below its root', async (t, a, b) => {
  const { root, below, sibling } = await operatorsCa('ecdsa-p256', new Date());
  const own = await parseAuthority(below, root, new Date());
  const other = await parseAuthority(await sibling(), root, new Date());
  const anchor = await anchorOf(own, []);
  await work(a, 'a', await issue('a', own, [anchor]));
  await work(b, 'b', await issue('b', own, [anchor]));
  await t.notThrowsAsync(meet(b));

  // The stranger trusts a, so that it is a who refuses, although it knows what leads to the root.
  await a.session.request('load-cert', {
    type: 'X509',
    flag: 'NONE',
    data: other.certificate.toString('pem'),
  });
  await work(b, 'b', await issue('b', other, [anchor, own.root]));
  await t.throwsAsync(meet(b), { name: 'ViciError' }, 'of a sibling below the same root');
  t.regex(a.process.log(), /no issuer certificate found for "CN=operators-other-intermediate"/);
});

charonTest(
  'a roll from one intermediate CA to its sibling: a node of either is accepted',
  async (t, a, b) => {
    const { root, below, sibling } = await operatorsCa('ecdsa-p256', new Date());
    const [former, next] = [
      await parseAuthority(below, root, new Date()),
      await parseAuthority(await sibling(), root, new Date()),
    ];
    // As a cluster of an earlier version has it: the root itself is trusted.
    const anchors = [await anchorOf(former, []), await anchorOf(next, [])];
    await work(a, 'a', await issue('a', former, [former.root]));
    await work(b, 'b', await issue('b', former, [former.root, ...anchors.slice(0, 1)]));
    await t.notThrowsAsync(meet(b), 'one knows of the anchor already');
    await work(a, 'a', await issue('a', former, anchors));
    await work(b, 'b', await issue('b', former, anchors));
    await t.notThrowsAsync(meet(b), 'both are trusted');
    await work(b, 'b', await issue('b', next, anchors));
    await t.notThrowsAsync(meet(b), 'one has its certificate of the next CA');
    await work(a, 'a', await issue('a', next, anchors.slice(1)));
    await work(b, 'b', await issue('b', next, anchors.slice(1)));
    await t.notThrowsAsync(meet(b));
    await work(b, 'b', await issue('b', former, anchors));
    await t.throwsAsync(meet(b), { name: 'ViciError' }, 'the former one is forgotten');
  },
);

charonTest('a root with CAs below it: only what it issued itself is accepted', async (t, a, b) => {
  const { root, rootKey, below } = await operatorsCa('ecdsa-p256', new Date());
  const own = await parseAuthority({ certificate: root, key: rootKey }, '', new Date());
  const anchor = await anchorOf(own, []);
  await work(a, 'a', await issue('a', own, [anchor]));
  await work(b, 'b', await issue('b', own, [anchor]));
  await t.notThrowsAsync(meet(b));
  await work(b, 'b', await issue('b', await parseAuthority(below, root, new Date()), [anchor, own.root]));
  await t.throwsAsync(meet(b), { name: 'ViciError' });
});
