import { PODS } from '../../nodes/topology.ts';
import { MARKER } from '../traffic.ts';
import { ledgerOf, runSender, start, type World } from '../world.ts';
import { answered } from './late.ts';

/** dns0 asks dns1 from the port at which it serves itself, so that each end of the flow is a protected one. Throws if a message is lost. */
export async function amongServers(world: World, body: () => Promise<string>): Promise<string> {
  const name = 'servers';
  await world.daemons.get('dns0')?.stop('SIGKILL');
  const stream = { name, kind: 'udp', address: PODS.dns1.address, port: 53, sourcePort: 53 } as const;
  const sender = runSender(world, 'dns0', [{ ...stream, bytes: 100, everyMs: 200, marker: MARKER }]);
  try {
    await answered(world, name, Date.now());
    const from = Date.now();
    const remark = await body();
    await answered(world, name, Date.now());
    const { sent, lost } = ledgerOf(world).passage(name, from, Date.now() - 1_500);
    if (lost > 0) {
      throw new Error(`${remark}; lost among servers: ${lost} of ${sent}`);
    }
    return `${remark}; 0 of ${sent} lost among servers`;
  } finally {
    await sender.stop('SIGKILL');
    start(world, 'dns0');
  }
}
