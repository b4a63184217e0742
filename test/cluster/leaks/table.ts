import { sleep } from '../lab/process.ts';
import { countText, readCapture } from './capture.ts';
import { CONTROL, MARKER } from './traffic.ts';
import { ledgerOf, recovered, type World } from './world.ts';

/** A row of the leak table: what happens, under load. */
export interface Row {
  /** `2a`: the number of the issue's list, and a letter. */
  readonly id: string;
  readonly title: string;
  /** No message may be lost. */
  readonly lossless?: boolean;
  /** Provokes it. Resolves to a remark for the table. */
  readonly event: (world: World) => Promise<string | undefined>;
}

export interface Outcome {
  readonly id: string;
  readonly title: string;
  /** Packets with protected payload or between protected ports, in the clear. */
  readonly clear: number;
  /** Packets of a port that no policy names: the capture saw them. */
  readonly control: number;
  readonly sent: number;
  readonly lost: number;
  /** The longest time without an answer, of the UDP stream. */
  readonly gapMs: number;
  /** After the event, until every stream was answered. */
  readonly recoveryMs: number;
  readonly remark: string;
  readonly ok: boolean;
}

/** Between pods, by addresses and ports: what carries no payload, too. */
const CLEAR = 'net 172.16.0.0/16 and (udp port 53 or tcp port 53 or tcp port 9153 or tcp port 9402 or icmp)';
const PROTECTED = ['udp', 'large', 'tcp', 'back'];

/** Runs a row between two moments at which all streams are answered. A row that throws has failed. */
export async function runRow(world: World, row: Row): Promise<Outcome> {
  const { wire } = world.lab;
  let from = Date.now();
  let [remark, failure, recoveryMs, clearBefore] = ['', '', 0, 0];
  try {
    await recovered(world);
    clearBefore = await wire.count(CLEAR);
    from = Date.now();
    remark = (await row.event(world)) ?? '';
    recoveryMs = await recovered(world);
  } catch (error) {
    failure = error instanceof Error ? error.message : String(error);
  }
  await sleep(1_500);
  const byAddress = (await wire.count(CLEAR)) - clearBefore;
  // What was sent a moment ago may still be answered.
  const to = Date.now() - 1_500;
  const packets = readCapture(wire.pcap);
  const clear = Math.max(byAddress, countText(packets, MARKER, from, Date.now()));
  const control = countText(packets, CONTROL, from, to);
  const ledger = ledgerOf(world);
  const passages = PROTECTED.map((name) => ledger.passage(name, from, to));
  const sum = (key: 'sent' | 'lost'): number => passages.reduce((total, passage) => total + passage[key], 0);
  const lost = sum('lost');
  const lossless = row.lossless !== true || lost === 0;
  return {
    id: row.id,
    title: row.title,
    clear,
    control,
    sent: sum('sent'),
    lost,
    gapMs: passages[0]?.gapMs ?? 0,
    recoveryMs,
    remark: [remark, failure].filter((text) => text !== '').join('; '),
    ok: clear === 0 && control > 0 && failure === '' && lossless,
  };
}

export function formatOutcome(outcome: Outcome): string {
  const { id, title, clear, control, sent, lost, gapMs, recoveryMs, remark, ok } = outcome;
  const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;
  const figures = `${clear} in the clear, ${lost} of ${sent} lost, gap ${seconds(gapMs)}, recovered ${seconds(recoveryMs)}, control ${control}`;
  return `${ok ? 'ok  ' : 'FAIL'} ${id} ${title}: ${figures}${remark === '' ? '' : ` (${remark})`}`;
}
