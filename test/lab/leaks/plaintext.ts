import type { Lab } from '../nodes/lab.ts';
import { countText, readCapture } from './capture.ts';
import { MARKER } from './traffic.ts';

/** Streams, and how a capture shows their packets between pods by addresses and ports: what carries no payload, too. */
const PORTS = {
  udp: 'udp port 53',
  large: 'udp port 53',
  tcp: 'tcp port 53 or tcp port 9153',
  icmp: 'icmp or icmp6',
  back: 'tcp port 9402',
} as const satisfies Readonly<Record<string, string>>;

export const PROTECTED_STREAMS: readonly string[] = Object.keys(PORTS);

/** From the one moment until before the other; milliseconds since the epoch. */
export interface Stretch {
  readonly from: number;
  readonly to: number;
}

async function countPorts({ wire }: Lab, streams: readonly string[], { from, to }: Stretch): Promise<number> {
  const kinds = [
    ...new Set(Object.entries(PORTS).flatMap(([name, kind]) => (streams.includes(name) ? kind : []))),
  ];
  // What the wire itself sends are the rows' strangers.
  const pods = '(net 172.16.0.0/16 or net fd00:10::/32)';
  const filter = `${pods} and not ether src ${wire.mac} and (${kinds.join(' or ')})`;
  return (await wire.times(filter)).filter((at) => at >= from && at < to).length;
}

const textOf = (stream: string): string => `${MARKER} ${stream} `;

/** Packets in the clear: with the payload of one of the streams (of any, for all), or between its ports. */
export async function inTheClear(lab: Lab, streams: readonly string[], stretch: Stretch): Promise<number> {
  if (streams.length === 0) {
    return 0;
  }
  const byPorts = await countPorts(lab, streams, stretch);
  const packets = readCapture(lab.wire.pcap);
  const texts = streams.length === PROTECTED_STREAMS.length ? [MARKER] : streams.map(textOf);
  return Math.max(byPorts, ...texts.map((text) => countText(packets, text, stretch.from, stretch.to)));
}

/** What a row would miss: the streams of which the capture shows no payload, or nothing between their ports. */
export async function unseen(lab: Lab, stretch: Stretch): Promise<string[]> {
  const packets = readCapture(lab.wire.pcap);
  const missing = PROTECTED_STREAMS.filter(
    (stream) => countText(packets, textOf(stream), stretch.from, stretch.to) === 0,
  );
  if (missing.length > 0) {
    return missing;
  }
  const counts = await Promise.all(PROTECTED_STREAMS.map((stream) => countPorts(lab, [stream], stretch)));
  return PROTECTED_STREAMS.filter((_, index) => counts[index] === 0);
}
