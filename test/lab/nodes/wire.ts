import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Daemon, mustIn, runIn, startIn, until } from './process.ts';

/** The network between the nodes, in a namespace of its own: no decrypted packet ever appears there. */
export interface Wire {
  readonly namespace: string;
  /** Its own address among the nodes. */
  readonly address: string;
  /** Path of the capture. */
  readonly pcap: string;
  /** Of the bridge: what it sends itself has this source. */
  readonly mac: string;
  /** When packets so far that match a pcap filter were seen: milliseconds since the epoch. */
  times(filter: string): Promise<number[]>;
  /** Packets so far that match a pcap filter. */
  count(filter: string): Promise<number>;
  /** The matching packets, a line each. */
  show(filter: string): Promise<string[]>;
  destroy(): Promise<void>;
}

const IP = '/usr/sbin/ip';
export const SOCAT = '/usr/bin/socat';
const TCPDUMP = '/usr/bin/tcpdump';
/** The bridge's own address, for markers and the API server. */
const OWN = '192.168.206.1';
const OWN_MAC = '02:00:00:00:00:01';
const BROADCAST = '192.168.206.255';
const FIRST_MARKER = 20_000;
const LIMIT_MS = 60_000;

/** The matching packets of a capture, a line each. The one that is still being written is left out. */
export async function readPackets(
  pcap: string,
  filter: string,
  flags: readonly string[] = [],
): Promise<string[]> {
  const { exitCode, stdout, stderr } = await runIn([], [TCPDUMP, '-nn', ...flags, '-r', pcap, filter]);
  if (exitCode !== 0 && !stderr.includes('truncated dump file')) {
    throw new Error(`tcpdump, reading ${pcap}: ${stderr.trim()}`);
  }
  return stdout.split('\n').filter((line) => line !== '');
}

/** Makes the bridge and captures everything on it from the start. */
export async function createWire(base: string): Promise<Wire> {
  const namespace = `tl-wire-${process.pid}`;
  const pcap = join(base, 'wire.pcap');
  await mustIn([IP], ['netns', 'add', namespace]);
  await mustIn([IP, '-n', namespace], ['link', 'add', 'br0', 'type', 'bridge']);
  // Otherwise it has that of one of its ports.
  await mustIn([IP, '-n', namespace], ['link', 'set', 'br0', 'address', OWN_MAC]);
  await mustIn([IP, '-n', namespace], ['link', 'set', 'lo', 'up']);
  await mustIn([IP, '-n', namespace], ['link', 'set', 'br0', 'up']);
  await mustIn([IP, '-n', namespace], ['addr', 'add', `${OWN}/24`, 'broadcast', BROADCAST, 'dev', 'br0']);
  const enter = [IP, 'netns', 'exec', namespace];
  const log = join(base, 'tcpdump.log');
  const capture: Daemon = startIn(
    enter,
    [TCPDUMP, '-i', 'br0', '-U', '--immediate-mode', '-s', '400', '-w', pcap, '-Z', 'root'],
    log,
  );
  await until('the capture', LIMIT_MS, async () => readFileSync(log, 'utf8').includes('listening on'));
  let marker = FIRST_MARKER;
  // Whatever went over the wire before the marker is in the file once the marker is.
  const settle = async (): Promise<void> => {
    marker += 1;
    const to = `UDP-DATAGRAM:${BROADCAST}:${marker},broadcast,bind=${OWN}`;
    await mustIn(enter, [SOCAT, '-u', '-', to], 'marker');
    const seen = `udp dst port ${marker} and dst host ${BROADCAST}`;
    await until(
      'the marker in the capture',
      LIMIT_MS,
      async () => (await readPackets(pcap, seen)).length > 0,
    );
  };
  const show = async (filter: string): Promise<string[]> => {
    await settle();
    return await readPackets(pcap, filter);
  };
  return {
    namespace,
    address: OWN,
    pcap,
    mac: OWN_MAC,
    show,
    async times(filter) {
      await settle();
      const lines = await readPackets(pcap, filter, ['-tt']);
      return lines.flatMap((line) => /^(\d+\.\d+) /.exec(line)?.[1] ?? []).map((at) => Number(at) * 1_000);
    },
    count: async (filter) => (await show(filter)).length,
    async destroy() {
      await capture.stop('SIGTERM');
      await mustIn([IP], ['netns', 'del', namespace]);
    },
  };
}
