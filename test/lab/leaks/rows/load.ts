import { nodeOf, podOf } from '../../nodes/lab.ts';
import { STRETCH } from '../../nodes/probe.ts';
import { type Entrance, mustIn, sleep } from '../../nodes/process.ts';
import { PODS } from '../../nodes/topology.ts';
import type { Passage } from '../ledger.ts';
import { MARKER } from '../traffic.ts';
import { ledgerOf, runSender, type World } from '../world.ts';
import { CLIENT } from './ike-sas.ts';

/** Datagrams a second. A machine that emulates another carries an eighth. */
const RATE = 1_000 / STRETCH;
/** What has no answer by then is lost. */
const ANSWERS_MS = 30_000;

/** Where packets were dropped, as the kernel counts it: by XFRM on both nodes, at the client's sockets, between network interfaces. */
async function drops({ lab }: World): Promise<string> {
  const show = async (entrance: Entrance, file: string): Promise<string> =>
    (await mustIn(entrance, ['/bin/cat', file])).trim();
  const xfrm = await Promise.all(
    [CLIENT, 'controller-1'].map(async (name) => {
      const counted = (await show(nodeOf(lab, name).enter, '/proc/net/xfrm_stat')).split('\n');
      return `${name}: ${counted.filter((line) => !/\s0$/.test(line)).join(', ')}`;
    }),
  );
  const udp = (await show(podOf(lab, 'client2').enter, '/proc/net/snmp')).match(/^Udp: \d.*$/m)?.[0] ?? '';
  const softnet = (await show([], '/proc/net/softnet_stat')).split('\n');
  const dropped = softnet.reduce((sum, line) => sum + Number.parseInt(line.split(' ')[1] ?? '0', 16), 0);
  return [...xfrm, `client2 ${udp}`, `backlog ${dropped}`].join('; ').replace(/\s+/g, ' ');
}

/** A constant stream of datagrams, and a long TCP transfer. */
export async function underLoad(world: World, body: () => Promise<string>): Promise<string> {
  const specs = [
    { name: 'rate', kind: 'udp', port: 53, bytes: 64, everyMs: 1_000 / RATE },
    { name: 'transfer', kind: 'tcp', port: 53, bytes: 4_000, everyMs: 20 },
  ] as const;
  const from = Date.now();
  const sender = runSender(
    world,
    'client2',
    specs.map((spec) => ({ ...spec, address: PODS.dns1.address, marker: MARKER })),
  );
  try {
    await sleep(10_000);
    const remark = await body();
    await sleep(3_000);
    const to = Date.now();
    const passages = (): Passage[] => specs.map(({ name }) => ledgerOf(world).passage(name, from, to));
    // In QEMU the server can be behind by hundreds of answers, none of which is lost.
    for (
      const deadline = to + ANSWERS_MS;
      Date.now() < deadline && passages().some(({ lost }) => lost > 0);
    ) {
      await sleep(1_000);
    }
    const [rate, transfer] = passages();
    if (rate === undefined || transfer === undefined || rate.lost + transfer.lost > 0 || rate.sent === 0) {
      throw new Error(`${remark}; lost: ${JSON.stringify({ rate, transfer })}; ${await drops(world)}`);
    }
    const perSecond = Math.round((1_000 * rate.sent) / (to - from));
    return `${remark}; 0 of ${rate.sent} datagrams lost at ${perSecond} a second, 0 of ${transfer.sent} TCP messages`;
  } finally {
    await sender.stop('SIGKILL');
  }
}
