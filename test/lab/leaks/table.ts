import { STRETCH } from '../nodes/probe.ts';
import { sleep } from '../nodes/process.ts';
import { countText, readCapture } from './capture.ts';
import type { Ledger, Passage } from './ledger.ts';
import { inTheClear, PROTECTED_STREAMS, type Stretch } from './plaintext.ts';
import { CONTROL } from './traffic.ts';
import { ledgerOf, recovered, type World } from './world.ts';

/** RFC 7296 2.3: a responder has a CHILD_SA before its initiator has, and the kernel sends through the newest. */
export const RESPONDER_FIRST =
  'rekeyed by charon, not by an agent: a packet through an SA that its receiver has not yet is lost';

/** A row of the leak table: what happens, under load. */
export interface Row {
  /** `2a`: the number of the issue's list, and a letter. */
  readonly id: string;
  readonly title: string;
  /** No message may be lost. */
  readonly lossless?: boolean;
  /** None of those sent when the event is over. */
  readonly losslessAfter?: boolean;
  /** Why some may be, whatever a product does; the table says it. */
  readonly loses?: string;
  /** Streams that are never in the clear; all of them if not told. */
  readonly watched?: readonly string[];
  /** Streams that are not in the clear once the event is over; all of them if not told. */
  readonly after?: readonly string[];
  /** All must be answered again this soon after the event; stretched in QEMU. Milliseconds. */
  readonly recoversWithin?: number;
  /** What comes before it, and does not count. */
  readonly prepare?: (world: World) => Promise<void>;
  /** Provokes it. Resolves to a remark for the table. */
  readonly event: (world: World) => Promise<string | undefined>;
  /** What to say of the messages sent during the event and after it, and of those during it that no policy names. */
  readonly remark?: (during: Passage, after: Passage, open: Passage) => string;
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

function together(ledger: Ledger, { from, to }: Stretch): Passage {
  const passages = PROTECTED_STREAMS.map((name) => ledger.passage(name, from, to));
  const sum = (key: 'sent' | 'lost'): number => passages.reduce((total, passage) => total + passage[key], 0);
  return { sent: sum('sent'), lost: sum('lost'), gapMs: Math.max(...passages.map(({ gapMs }) => gapMs)) };
}

/** Runs a row between two moments at which all streams are answered. A row that throws has failed. */
export async function runRow(world: World, row: Row): Promise<Outcome> {
  let from = Date.now();
  let [remark, failure, recoveryMs, over] = ['', '', 0, 0];
  try {
    await recovered(world);
    await row.prepare?.(world);
    from = Date.now();
    remark = (await row.event(world)) ?? '';
    over = Date.now();
    recoveryMs = await recovered(world);
  } catch (error) {
    failure = error instanceof Error ? error.message : String(error);
    over ||= Date.now();
  }
  await sleep(1_500);
  // What was sent a moment ago may still be answered.
  const to = Date.now() - 1_500;
  const clear =
    (await inTheClear(world.lab, row.watched ?? PROTECTED_STREAMS, { from, to })) +
    (await inTheClear(world.lab, row.after ?? PROTECTED_STREAMS, {
      from: row.watched === undefined ? to : over,
      to,
    }));
  const control = countText(readCapture(world.lab.wire.pcap), CONTROL, from, to);
  const ledger = ledgerOf(world);
  const { sent, lost } = together(ledger, { from, to });
  const after = together(ledger, { from: over, to });
  const counted = row.remark?.(
    together(ledger, { from, to: over }),
    after,
    ledger.passage('control', from, over),
  );
  const lossless = (row.lossless !== true || lost === 0) && (row.losslessAfter !== true || after.lost === 0);
  const prompt = recoveryMs <= (row.recoversWithin ?? Number.POSITIVE_INFINITY) * STRETCH;
  return {
    id: row.id,
    title: row.title,
    clear,
    control,
    sent,
    lost,
    gapMs: ledger.passage('udp', from, to).gapMs,
    recoveryMs,
    remark: [remark, counted ?? '', row.loses ?? '', failure].filter((text) => text !== '').join('; '),
    ok: clear === 0 && control > 0 && failure === '' && lossless && prompt,
  };
}

export function formatOutcome(outcome: Outcome): string {
  const { id, title, clear, control, sent, lost, gapMs, recoveryMs, remark, ok } = outcome;
  const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;
  const figures = `${clear} in the clear, ${lost} of ${sent} lost, gap ${seconds(gapMs)}, recovered ${seconds(recoveryMs)}, control ${control}`;
  return `${ok ? 'ok  ' : 'FAIL'} ${id} ${title}: ${figures}${remark === '' ? '' : ` (${remark})`}`;
}
