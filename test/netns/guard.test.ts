import { kill } from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { type Keeper, startKeeper } from '../helpers/netns/keeper.ts';
import { createNamespace, must, type Namespace } from '../helpers/netns/netns.ts';
import { netnsTest } from '../helpers/netns/netns-test.ts';
import { until } from '../helpers/unit/until.ts';

/** The agent's nft tables in a real kernel, and what somebody else does to them. */

const NFT = '/usr/sbin/nft';
const nft = async ({ run }: Namespace, ...args: string[]): Promise<string> =>
  (await must({ file: NFT, args }, run)).stdout;
const inStep = (keeper: Keeper): Promise<true> => until('in step', () => keeper.lines().includes('in step'));

/** Milliseconds until the tables are as they were. */
async function backAfter(node: Namespace, change: () => Promise<unknown>): Promise<number> {
  const tables = async (): Promise<string> =>
    (await nft(node, 'list', 'ruleset'))
      .split(/^(?=table)/m)
      .sort()
      .join('');
  const before = await tables();
  await change();
  const started = performance.now();
  await until('the tables are back', async () => (await tables()) === before, 10_000);
  return Math.round(performance.now() - started);
}

netnsTest('guard: CIDRs that overlap are laid, those of a family apart', async (t, node) => {
  const keeper = startKeeper(t, node, [
    '10.2.0.0/24',
    '10.2.0.128/25',
    '10.2.1.0/24',
    '10.2.0.7/32',
    'fd00:2::/64',
    'fd00:2::/80',
  ]);
  await inStep(keeper);
  t.is(keeper.unguarded(), undefined);
  const laid = await nft(node, 'list', 'ruleset');
  t.regex(laid, /elements = \{ 10\.2\.0\.0\/23 \}/);
  t.regex(laid, /elements = \{ fd00:2::\/64 \}/);
});

netnsTest('guard: what nft refuses is left out and said, and takes nothing else with it', async (t, node) => {
  const cidrs = ['10.2.0.0/24', '10.4.0.0/24', '10.6.0.0/24', 'fd00:2::/64'];
  const keeper = startKeeper(t, node, cidrs, '10.4.0.0/24');
  await until('laid', () =>
    keeper.lines().find((line) => line.includes('left out, as refused: pods4 10.4.0.0/24')),
  );
  const laid = await nft(node, 'list', 'ruleset');
  t.regex(laid, /elements = \{ 10\.2\.0\.0\/24, 10\.6\.0\.0\/24 \}/);
  t.regex(laid, /elements = \{ fd00:2::\/64 \}/);
  t.is(keeper.unguarded(), undefined, 'the rest of the node is guarded');
});

netnsTest('guard: fragments are reassembled whatever becomes of the other table', async (t, node) => {
  const [pod, wire] = [await createNamespace('pod'), await createNamespace('wire')];
  t.teardown(pod.remove);
  t.teardown(wire.remove);
  await must({ file: '/bin/sh', args: ['-ec', 'echo 1 > /proc/sys/net/ipv4/ip_forward'] }, node.run);
  await node.ip('link', 'add', 'pod', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', pod.name);
  await node.ip('addr', 'add', '10.1.0.1/24', 'dev', 'pod');
  await node.ip('link', 'set', 'pod', 'up');
  await node.ip('link', 'add', 'wire', 'type', 'veth', 'peer', 'name', 'wire', 'netns', wire.name);
  await node.ip('addr', 'add', '192.0.2.1/24', 'dev', 'wire');
  await node.ip('link', 'set', 'wire', 'up');
  await wire.ip('link', 'set', 'wire', 'up');
  await node.ip('route', 'add', '10.2.0.0/24', 'via', '192.0.2.2');
  await node.ip('neigh', 'add', '192.0.2.2', 'lladdr', '02:00:00:00:00:02', 'dev', 'wire');
  await pod.ip('addr', 'add', '10.1.0.5/24', 'dev', 'eth0');
  await pod.ip('link', 'set', 'eth0', 'up');
  await pod.ip('route', 'add', 'default', 'via', '10.1.0.1');
  const policy = ['dir', 'out', 'src', '0.0.0.0/0', 'dst', '10.2.0.0/24', 'proto', 'udp', 'dport', '53'];
  await node.ip('xfrm', 'policy', 'add', ...policy, 'priority', '1100', 'action', 'block');
  /** IPv4 packets that left the node in the clear while a datagram of 3,000 bytes was sent. */
  const leaves = async (): Promise<number> => {
    const rules =
      'table netdev seen { chain in { type filter hook ingress device "wire" priority 0; ip saddr 10.1.0.5 counter; }; }';
    await must({ file: NFT, args: ['-f', '-'], input: rules }, wire.run);
    const from = 'SYSTEM:head -c 3000 /dev/zero';
    await must({ file: '/usr/bin/socat', args: ['-u', from, 'UDP4:10.2.0.9:53'] }, pod.run);
    await delay(100);
    const [, packets] = /packets (\d+)/.exec(await nft(wire, 'list', 'ruleset')) ?? [];
    await nft(wire, 'flush', 'ruleset');
    return Number(packets);
  };
  t.is(await leaves(), 3, 'without us every fragment leaves, the first included');

  const keeper = startKeeper(t, node, ['10.2.0.0/24'], 'table inet trapline {');
  const reason = await until('unguarded', () => /refused/.exec(keeper.unguarded() ?? '')?.input);
  t.regex(reason, /refused/, 'the table does not load at all');
  t.is(await nft(node, 'list', 'tables'), 'table inet trapline-defrag\n');
  t.is(await leaves(), 0);

  keeper.refuse('');
  await until('guarded', () => keeper.unguarded() === undefined, 5_000);
  await inStep(keeper);
  t.is(await leaves(), 0);
  keeper.refuse('table inet trapline {');
  await nft(node, 'delete', 'table', 'inet', 'trapline');
  await until('unguarded', () => keeper.unguarded(), 5_000);
  t.is(await leaves(), 0);
});

netnsTest('guard: what somebody takes away is back within 2 s', async (t, node) => {
  const keeper = startKeeper(t, node, ['10.2.0.0/24', 'fd00:2::/64']);
  await inStep(keeper);
  await delay(3_500);
  for (const change of [
    ['flush', 'ruleset'],
    ['delete', 'table', 'inet', 'trapline'],
    ['delete', 'table', 'inet', 'trapline-defrag'],
    ['flush', 'chain', 'inet', 'trapline', 'addresses'],
    ['flush', 'chain', 'inet', 'trapline-defrag', 'reassemble'],
    ['flush', 'set', 'inet', 'trapline', 'pods4'],
    ['insert', 'rule', 'inet', 'trapline', 'addresses', 'accept'],
    ['add', 'table', 'inet', 'trapline', '{ flags dormant; }'],
  ]) {
    const ms = await backAfter(node, () => nft(node, ...change));
    t.log(`nft ${change.join(' ')}: ${ms} ms`);
    t.true(ms < 2_000);
  }
  await until('guarded', () => keeper.unguarded() === undefined, 2_000);
  t.regex(
    keeper.lines().join('\n'),
    /warn nftables: laid again: nftables: not there: inet trapline-defrag, inet trapline/,
  );
});

netnsTest('guard: a monitor that dies is missed for less than 2 s, and comes back', async (t, node) => {
  const keeper = startKeeper(t, node, ['10.2.0.0/24']);
  await inStep(keeper);
  const first = await until('a monitor', keeper.monitor);
  kill(Number(first), 'SIGKILL');
  const dead = await backAfter(node, () => nft(node, 'flush', 'ruleset'));
  t.true(dead < 2_000);
  await until('another monitor', () => keeper.monitor() !== undefined && keeper.monitor() !== first);
  await delay(4_000);
  const back = await backAfter(node, () => nft(node, 'flush', 'ruleset'));
  t.log(`without a monitor ${dead} ms, with the next one ${back} ms`);
  t.true(back < 2_000);
});

netnsTest('guard: 1,000 changes of others cost little, and hide none of our own', async (t, node) => {
  const keeper = startKeeper(t, node, ['10.2.0.0/24']);
  await inStep(keeper);
  await delay(3_500);
  const rules = Array.from(
    { length: 20 },
    (_, index) => `add rule ip kube svc ip daddr 10.96.0.${index} counter`,
  );
  const change = `add table ip kube\nadd chain ip kube svc\nflush chain ip kube svc\n${rules.join('\n')}\n`;
  const started = performance.now();
  for (let round = 0; round < 1_000; round += 1) {
    await must({ file: NFT, args: ['-f', '-'], input: change }, node.run);
  }
  const took = Math.round(performance.now() - started);
  await nft(node, 'delete', 'table', 'ip', 'kube');
  const ms = await backAfter(node, () => nft(node, 'delete', 'table', 'inet', 'trapline'));
  t.true(ms < 2_000);
  const { own, children } = await keeper.end();
  t.log(`${took} ms of changes cost ${own} ms in the agent, ${children} ms in its nft; back in ${ms} ms`);
  t.true(own + children < took / 2);
});

netnsTest('guard: who changes our tables all the time does not keep us busy', async (t, node) => {
  const keeper = startKeeper(t, node, ['10.2.0.0/24']);
  await inStep(keeper);
  const started = performance.now();
  while (performance.now() - started < 4_000) {
    await must({ file: '/bin/sh', args: ['-c', `${NFT} delete table inet trapline; true`] }, node.run);
  }
  await until('back', async () => /table inet trapline\n/.test(await nft(node, 'list', 'tables')), 5_000);
  await until('guarded', () => keeper.unguarded() === undefined, 5_000);
  t.true(keeper.lines().length < 20, keeper.lines().join('\n'));
  const { own, children } = await keeper.end();
  t.log(`4 s of it cost ${own} ms in the agent, ${children} ms in its children`);
  t.true(own + children < 4_000);
});
