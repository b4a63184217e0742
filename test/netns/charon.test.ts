import type { Charon, Updown } from '../../src/ipsec/charon/charon.ts';
import { parseKeyId } from '../../src/ipsec/charon/replies.ts';
import { planConnections } from '../../src/ipsec/plan/connections.ts';
import { createTestCa } from '../helpers/charon/certificates.ts';
import { type CharonNode, charonTest, pair, trigger } from '../helpers/charon/charon-test.ts';
import { seedCache } from '../helpers/unit/cache.ts';
import { until } from '../helpers/unit/until.ts';

const NOTHING = { loaded: [], connections: [], ikeSas: [], childSas: [], traps: [], missingTraps: [] };

async function traps(charon: Charon): Promise<string[]> {
  return (await charon.listTraps()).map(({ ike, child }) => `${ike}/${child}`).sort();
}

/** An IKE_SA that b asks a for, and ends. */
async function meet({ charon }: CharonNode): Promise<void> {
  await charon.initiateIke('k8s-node-a', 30_000);
  await charon.endIke((await charon.listSas()).map(({ uniqueId }) => uniqueId));
}

charonTest(
  'connections are added, changed, left alone and removed',
  async (t, { charon, session, namespace, open }) => {
    const dns = pair('a', { dns: [53] });
    t.deepEqual(await charon.reconcile([dns]), { ...NOTHING, loaded: ['k8s-node-b'] });
    t.deepEqual(await traps(charon), ['k8s-node-b/udp_dns_egress', 'k8s-node-b/udp_dns_ingress']);
    t.deepEqual(await charon.reconcile([dns]), NOTHING);

    await session.request('load-conn', {
      roadwarrior: { version: '2', remote_addrs: ['192.0.2.9'], children: { net: { start_action: 'none' } } },
    });
    t.deepEqual(await charon.reconcile([pair('a', { dns: [53], web: [80] })]), {
      ...NOTHING,
      loaded: ['k8s-node-b'],
    });
    t.is((await traps(charon)).length, 4);

    t.deepEqual(await charon.reconcile([pair('a', { web: [80] })]), { ...NOTHING, loaded: ['k8s-node-b'] });
    t.deepEqual(await traps(charon), ['k8s-node-b/udp_web_egress', 'k8s-node-b/udp_web_ingress']);

    const restarted = await open();
    t.deepEqual(await restarted.reconcile([pair('a', { web: [80] })]), {
      ...NOTHING,
      loaded: ['k8s-node-b'],
    });
    t.deepEqual(await restarted.reconcile([]), { ...NOTHING, connections: ['k8s-node-b'] });
    t.deepEqual(await traps(charon), []);
    t.deepEqual(
      (await charon.listConnections()).map(({ name }) => name),
      ['roadwarrior'],
    );
    t.notRegex(await namespace.ip('xfrm', 'policy'), /reqid/);
    t.notRegex(await namespace.ip('rule'), /220/);
  },
);

charonTest(
  'a trap that somebody uninstalled is installed again, one too many goes',
  async (t, { charon, session }) => {
    const dns = pair('a', { dns: [53] });
    await charon.reconcile([dns]);
    await session.request('uninstall', { ike: 'k8s-node-b', child: 'udp_dns_egress' });
    t.deepEqual(await charon.reconcile([dns]), {
      ...NOTHING,
      missingTraps: [{ ike: 'k8s-node-b', child: 'udp_dns_egress' }],
    });
    t.is((await traps(charon)).length, 2);
  },
);

charonTest('an acquire brings up the IKE_SA, and the peer takes the child that is meant', async (t, a, b) => {
  // Left to the traffic selectors, b would take udp_aaa_egress: fourteen overlaps outweigh one equality.
  const entries = { aaa: Array.from({ length: 14 }, (_, index) => 1_001 + index), dns: [53] };
  const own = pair('a', entries);
  await b.charon.reconcile([pair('b', entries)]);
  await a.charon.reconcile([own]);
  const events: Updown[] = [];
  await a.charon.onUpdown((event) => events.push(event));
  await trigger(a, own.children.find(({ name }) => name === 'udp_dns_egress')?.reqid ?? 0);
  await until('decided', () => b.process.log().includes('found matching child config'));
  t.regex(b.process.log(), /found matching child config "udp_dns_ingress"/);
  await until('up', () => events.some(({ kind, up }) => kind === 'ike' && up));
  t.like(events[0]?.sa, { connection: 'k8s-node-b', remoteId: 'CN=ipsec-b', initiator: true });

  const again = await a.open();
  const ids = async () => (await again.listSas()).map(({ uniqueId, state }) => [uniqueId, state]);
  const before = await ids();
  t.deepEqual(before, [[1, 'ESTABLISHED']]);
  await again.reconcile([own]);
  t.deepEqual(await ids(), before, 'an equal load keeps the IKE_SA');
  await again.reconcile([pair('a', { dns: [53] })]);
  t.deepEqual(await ids(), before, 'a load without some other child keeps the IKE_SA');

  const moved = { ...pair('a', { dns: [53] }), remoteAddrs: ['192.0.2.3'] };
  t.deepEqual(await (await a.open()).reconcile([moved]), { ...NOTHING, loaded: ['k8s-node-b'], ikeSas: [1] });
  await until('down', () => events.some(({ kind, up }) => kind === 'ike' && !up));
  await until('gone at b', async () => (await b.charon.listSas()).length === 0);
});

charonTest('two children have one port: the peer takes the one whose label is meant', async (t, a, b) => {
  // The first is named as one of an item with many Services.
  const entries = { a_ns: [54, 53], dns: [53] };
  const own = pair('a', entries);
  await b.charon.reconcile([pair('b', entries)]);
  await a.charon.reconcile([own]);
  for (const child of ['udp_dns', 'udp_a_ns']) {
    await trigger(a, own.children.find(({ name }) => name === `${child}_egress`)?.reqid ?? 0);
    const found = `found matching child config "${child}_ingress"`;
    await until('decided', () => b.process.log().includes(found));
  }
  t.is(b.process.log().match(/found matching child config/g)?.length, 2);
});

charonTest(
  'a child of more ports than a payload can count is understood, as it names none',
  async (t, a, b) => {
    const ports = Array.from({ length: 300 }, (_, index) => index + 1);
    const node = (name: 'a' | 'b') => ({
      name,
      addresses: [name === 'a' ? '192.0.2.1' : '192.0.2.2'],
      podCidrs: [name === 'a' ? '10.1.0.0/24' : '10.2.0.0/24'],
    });
    const planned = (name: 'a' | 'b') => {
      const reqids = { udp_web_egress: 10_000_000, udp_web_ingress: 10_000_001 };
      return planConnections(
        seedCache({
          node: node(name),
          peers: [{ ...node(name === 'a' ? 'b' : 'a'), reqids }],
          children: [{ name: 'udp_web', proto: 'udp', ports }],
          endpoints: [],
        }),
      );
    };
    await b.charon.reconcile(planned('b'));
    await a.charon.reconcile(planned('a'));
    // This kernel may not have the cipher, so only what the peer decides is looked at.
    const initiate = () => a.charon.initiate('k8s-node-b', 'udp_web_egress', 30_000).catch(String);
    await initiate();
    t.regex(b.process.log(), /found matching child config "udp_web_ingress"/);
    t.notRegex(a.process.log(), /INVAL_SYN/);

    // Each by its number: charon cannot even set up the IKE_SA.
    await a.charon.reconcile([]);
    await until('gone at b', async () => (await b.charon.listSas()).length === 0);
    await b.charon.reconcile([pair('b', { web: ports })]);
    await a.charon.reconcile([pair('a', { web: ports })]);
    t.regex(String(await initiate()), /ViciError/);
    t.regex(a.process.log(), /INVAL_SYN/);
  },
);

charonTest(
  'a replaced connection ends its IKE_SAs, but not while they are being renewed',
  async (t, a, b) => {
    const own = pair('a', { dns: [53] });
    await b.charon.reconcile([pair('b', { dns: [53] })]);
    await a.charon.reconcile([own]);
    await a.charon.initiateIke('k8s-node-b', 30_000);
    const [sa] = await a.charon.listSas();
    a.charon.replace(['k8s-node-b']);
    a.charon.renewing(true);
    t.deepEqual(await a.charon.reconcile([own]), { ...NOTHING, loaded: ['k8s-node-b'] });
    t.deepEqual([...a.charon.stale()], [sa?.uniqueId]);
    t.is((await a.charon.listSas())[0]?.state, 'ESTABLISHED');
    a.charon.renewing(false);
    t.deepEqual(await a.charon.reconcile([own]), { ...NOTHING, ikeSas: [sa?.uniqueId] });
    t.is(a.charon.stale().size, 0);
  },
);

charonTest(
  "a CA is forgotten and its certificates refused, unless somebody else's keys would go",
  async (t, a, b) => {
    const next = await createTestCa();
    const [own, peers, foreign] = [await next.issue('a'), await next.issue('b'), await next.issue('other')];
    const caCertificates = [...a.identity.caCertificates, ...own.caCertificates];
    await a.charon.loadCredentials({ ...own, caCertificates });
    await b.charon.loadCredentials({ ...b.identity, caCertificates });
    await a.charon.reconcile([pair('a', { dns: [53] })]);
    await b.charon.reconcile([pair('b', { dns: [53] })]);
    await meet(b);

    const key = await a.session.request('load-key', { type: 'any', data: foreign.privateKey });
    t.false(await a.charon.forgetAuthorities(own));
    await t.notThrowsAsync(meet(b), 'nothing is forgotten');

    await a.session.request('unload-key', { id: parseKeyId(key) });
    t.true(await a.charon.forgetAuthorities(own));
    await t.throwsAsync(meet(b), { name: 'ViciError' }, 'its certificate is of the CA that is gone');
    await b.charon.loadCredentials({ ...peers, caCertificates });
    await b.charon.reconcile([pair('b', { dns: [53] })]);
    await t.notThrowsAsync(meet(b));
  },
);

charonTest('the session ends with charon', async (t, { charon, session, process }) => {
  t.like(await charon.version(), { daemon: 'charon' });
  t.true((await charon.stats()).plugins.includes('kernel-netlink'));
  const waiting = t.throwsAsync(charon.initiate('k8s-node-b', 'udp_dns_egress', 30_000), {
    name: 'ViciError',
  });
  await process.stop('SIGKILL');
  t.regex((await session.closed).message, /clos|socket/);
  await waiting;
});

charonTest('what charon cannot read is refused', async (t, { charon }) => {
  await t.throwsAsync(
    charon.loadCredentials({ caCertificates: ['no PEM'], certificate: '', chain: [], privateKey: '' }),
    {
      name: 'ViciError',
      message: /^load-cert: parsing X509 certificate failed/,
    },
  );
  const bad = {
    ...pair('a', { dns: [53] }),
    children: [{ ...pair('a', { dns: [53] }).children[0], localTs: ['nonsense'] }],
  };
  await t.throwsAsync(charon.load([bad as ReturnType<typeof pair>]), {
    message: /^load-conn: invalid value for: local_ts/,
  });
});
