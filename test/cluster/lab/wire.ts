import { join } from 'node:path';
import { type Daemon, mustIn, sleep, startIn } from './process.ts';

/** The network between the nodes, in a namespace of its own: no decrypted packet ever appears there. */
export interface Wire {
  readonly namespace: string;
  /** Packets so far that match a pcap filter. */
  count(filter: string): Promise<number>;
  /** The matching packets, a line each. */
  show(filter: string): Promise<string[]>;
  destroy(): Promise<void>;
}

const IP = '/usr/sbin/ip';
const TCPDUMP = '/usr/bin/tcpdump';

/** Makes the bridge and captures everything on it from the start. */
export async function createWire(base: string): Promise<Wire> {
  const namespace = `tl-wire-${process.pid}`;
  const pcap = join(base, 'wire.pcap');
  await mustIn([IP], ['netns', 'add', namespace]);
  await mustIn([IP, '-n', namespace], ['link', 'add', 'br0', 'type', 'bridge']);
  await mustIn([IP, '-n', namespace], ['link', 'set', 'br0', 'up']);
  const capture: Daemon = startIn(
    [IP, 'netns', 'exec', namespace],
    [TCPDUMP, '-i', 'br0', '-U', '-s', '200', '-w', pcap, '-Z', 'root'],
    join(base, 'tcpdump.log'),
  );
  await sleep(1_500);
  const show = async (filter: string): Promise<string[]> => {
    // The last packets may still be on their way into the file.
    await sleep(500);
    const text = await mustIn([], [TCPDUMP, '-nn', '-r', pcap, filter]);
    return text.split('\n').filter((line) => line !== '');
  };
  return {
    namespace,
    show,
    count: async (filter) => (await show(filter)).length,
    async destroy() {
      await capture.stop('SIGTERM');
      await mustIn([IP], ['netns', 'del', namespace]);
    },
  };
}
