import { existsSync, writeFileSync } from 'node:fs';
import test from 'ava';
import { planAttachment } from '../../src/ipsec/plan/plan.ts';
import { readAttachment, readAttachments } from '../../src/rundir/attachments.ts';
import { attachmentsDir } from '../../src/rundir/paths.ts';
import { corednsAttachment, seedCache } from '../helpers/unit/cache.ts';
import { sorted } from '../helpers/unit/fake-kernel.ts';
import {
  CONTAINER,
  COREDNS_ADDRESS,
  clientArgs,
  createNode,
  prevResult,
  START,
} from '../helpers/unit/plugin.ts';

const PLANNED = sorted(planAttachment(seedCache(), corednsAttachment));

test('a protected pod: its policies and its record, with one process', async (t) => {
  const node = createNode(t);
  const outcome = await node.call('ADD');
  t.is(outcome.exitCode, 0, outcome.stdout);
  t.deepEqual(JSON.parse(outcome.stdout), prevResult());
  t.true(PLANNED.length > 0);
  t.deepEqual(node.kernel.policies(), PLANNED);
  t.is(node.kernel.commands.length, 1);
  const record = readAttachment(node.runDir, CONTAINER, 'eth0');
  if (record.kind !== 'ok') {
    t.fail(record.message);
    return;
  }
  t.deepEqual(sorted(record.value.policies), PLANNED);
  t.deepEqual(record.value.addresses, [COREDNS_ADDRESS]);
  t.is(record.value.network, 'pods');
  t.is(record.value.createdAt, START);
});

test('a pod that backs nothing: a record, no process', async (t) => {
  const node = createNode(t);
  const outcome = await node.call('ADD', { env: { CNI_ARGS: clientArgs() } });
  t.is(outcome.exitCode, 0, outcome.stdout);
  t.deepEqual(node.kernel.commands, []);
  t.deepEqual(
    readAttachments(node.runDir).records.map(({ policies }) => policies),
    [[]],
  );
});

test('no pod name: prevResult goes through, nothing else happens', async (t) => {
  const node = createNode(t);
  for (const args of [undefined, '', 'IgnoreUnknown=1;K8S_POD_NAMESPACE=a']) {
    const outcome = await node.call('ADD', { env: { CNI_ARGS: args } });
    t.deepEqual(JSON.parse(outcome.stdout), prevResult());
  }
  t.deepEqual(node.kernel.commands, []);
  t.false(existsSync(attachmentsDir(node.runDir)));
});

test('keys of prevResult that we do not know go through, at every level', async (t) => {
  const node = createNode(t);
  const result = {
    ...prevResult(),
    vendor: { a: [1, null, { b: 'c' }] },
    interfaces: [{ name: 'eth0', sandbox: '/n', mtu: 1400, vendor: 1 }],
    ips: [{ version: '4', address: `${COREDNS_ADDRESS}/26`, interface: 0, vendor: [] }],
    routes: [{ dst: '0.0.0.0/0', scope: 253, vendor: {} }],
    dns: { nameservers: ['10.0.0.1'], vendor: true },
  };
  const outcome = await node.call('ADD', { config: { prevResult: result } });
  t.deepEqual(JSON.parse(outcome.stdout), result);
});

test('the result is in the version of the configuration', async (t) => {
  const node = createNode(t);
  const outcome = await node.call('ADD', { config: { cniVersion: '0.4.0' } });
  t.is(JSON.parse(outcome.stdout).cniVersion, '0.4.0');
});

test('keys of the runtime in the configuration are tolerated', async (t) => {
  const node = createNode(t);
  const config = { runtimeConfig: {}, capabilities: { x: true }, args: { cni: {} }, 'cni.dev/x': 1, dns: {} };
  const outcome = await node.call('ADD', { config });
  t.is(outcome.exitCode, 0, outcome.stdout);
});

test('policies that are there already are no error', async (t) => {
  const node = createNode(t);
  await node.call('ADD');
  t.is((await node.call('ADD')).exitCode, 0);
  t.deepEqual(node.kernel.policies(), PLANNED);
});

test('a reused address whose DEL was lost: the old policies go, and a late DEL takes nothing', async (t) => {
  const node = createNode(t);
  await node.call('ADD', { env: { CNI_CONTAINERID: 'old' } });
  t.deepEqual(node.kernel.policies(), PLANNED);
  const client = { CNI_CONTAINERID: 'new', CNI_ARGS: clientArgs() };
  t.is((await node.call('ADD', { env: client })).exitCode, 0);
  t.is(node.kernel.table.size, 0);
  t.deepEqual(
    readAttachments(node.runDir).records.map(({ containerId }) => containerId),
    ['new'],
  );

  t.is((await node.call('ADD', { env: { CNI_CONTAINERID: 'third' } })).exitCode, 0);
  t.is((await node.call('DEL', { env: { CNI_CONTAINERID: 'new' } })).exitCode, 0);
  t.deepEqual(node.kernel.policies(), PLANNED);
});

test('records of other addresses, and broken ones, are left alone', async (t) => {
  const node = createNode(t);
  const other = { CNI_CONTAINERID: 'other' };
  await node.call('ADD', { env: other, config: { prevResult: prevResult('172.16.166.200') } });
  const count = node.kernel.table.size;
  writeFileSync(`${attachmentsDir(node.runDir)}/broken-eth0.json`, `{"addresses":["${COREDNS_ADDRESS}"]`);
  t.is((await node.call('ADD')).exitCode, 0);
  t.is(node.kernel.table.size, 2 * count);
  const { records, problems } = readAttachments(node.runDir);
  t.is(records.length, 2);
  t.is(problems.length, 1);
});

test('both families of a pod are protected', async (t) => {
  const cache = seedCache();
  const dual = seedCache({
    peers: cache.peers.map((peer) => ({ ...peer, podCidrs: [...peer.podCidrs, 'fd00:2::/64'] })),
  });
  const node = createNode(t, dual);
  const ips = [
    { interface: 2, address: `${COREDNS_ADDRESS}/26` },
    { interface: 2, address: 'FD00:1:0::0:3/64' },
  ];
  t.is((await node.call('ADD', { config: { prevResult: { ...prevResult(), ips } } })).exitCode, 0);
  const [record] = readAttachments(node.runDir).records;
  t.deepEqual(record?.addresses, [COREDNS_ADDRESS, 'fd00:1::3']);
  t.true(node.kernel.policies().some(({ selector }) => selector.src === 'fd00:1::3/128'));
});

test('an address that prevResult names twice is protected once', async (t) => {
  const node = createNode(t);
  const ip = { interface: 2, address: `${COREDNS_ADDRESS}/26` };
  const outcome = await node.call('ADD', { config: { prevResult: { ...prevResult(), ips: [ip, ip] } } });
  t.is(outcome.exitCode, 0, outcome.stdout);
  t.is(node.kernel.commands.length, 1);
  t.deepEqual(readAttachments(node.runDir).records[0]?.addresses, [COREDNS_ADDRESS]);
});

test('a repeated ADD deletes nothing that it lays again', async (t) => {
  const node = createNode(t);
  await node.call('ADD');
  const before = [...node.kernel.table];
  node.kernel.commands.length = 0;
  t.is((await node.call('ADD')).exitCode, 0);
  t.deepEqual([...node.kernel.table], before);
  t.notRegex(node.kernel.commands.map(({ input }) => input ?? '').join(''), /policy delete/);
});

test('hyphens make no two attachments one', async (t) => {
  const node = createNode(t);
  for (const [CNI_CONTAINERID, CNI_IFNAME] of [
    ['a-b', 'c'],
    ['a', 'b-c'],
    ['a', 'b%2dc'],
  ] as const) {
    const result = prevResult('172.16.166.200');
    const interfaces = (result.interfaces as { name: string }[]).map((link) =>
      link.name === 'eth0' ? { ...link, name: CNI_IFNAME } : link,
    );
    const address = `172.16.166.${200 + readAttachments(node.runDir).records.length}/26`;
    const config = { prevResult: { ...result, interfaces, ips: [{ interface: 2, address }] } };
    t.is((await node.call('ADD', { env: { CNI_CONTAINERID, CNI_IFNAME }, config })).exitCode, 0);
  }
  t.is(readAttachments(node.runDir).records.length, 3);
});
