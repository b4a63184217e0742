import { existsSync } from 'node:fs';
import type { Run, RunStream } from '../../exec/types.ts';
import { DEFRAG_TABLE, TABLE } from '../../ipsec/hairpin/render.ts';
import { messageOf } from '../../util/message-of.ts';

export interface NftWatchOptions {
  readonly run: Run;
  readonly stream: RunStream;
  /** Absolute path of `nft`. */
  readonly nft: string;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Milliseconds of a clock that only goes forward. */
  readonly now: () => number;
  /** Somebody, we ourselves perhaps, may have changed our tables. */
  readonly onChange: () => void;
  /** The monitor ended, and why; told once until it has run for STABLE_MS again. */
  readonly onDown: (reason: string) => void;
}

/** How often the tables are looked at while nothing is heard of them. */
const POLL_MS = 1_000;
/** Changes of our tables are told this far apart: who changes them all the time does not keep us busy. */
const REST_MS = 200;
/** A monitor that ends is started again after FIRST_PAUSE_MS, twice that, and so on to LONGEST_PAUSE_MS. */
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 300_000;
const STABLE_MS = 60_000;

/**
 * `nft monitor` begins by reading the whole ruleset of the node into its memory, and keeps it: 128 MiB for
 * 40,000 rules of kube-proxy. With more than this it is not run: polling takes its place.
 */
const MOST_MEMORY = 64 * 1024 * 1024;
const PRLIMIT = '/usr/bin/prlimit';

/** What a line of the monitor begins with if it is about us, or says that lines were lost. */
const OURS = new RegExp(`^(?:\\w+ \\w+ (?:${TABLE}|${DEFRAG_TABLE})(?:\\s|$)|# ERROR)`, 'm');
/**
 * A monitor hears nothing until it has read the whole ruleset, and does not say when it has. So something is
 * changed that nobody minds, until it has heard of that.
 */
const PROBE_TEXT = `table ${TABLE}-probe\ndelete table ${TABLE}-probe\n`;

/** As much of a line tells whose table it is about. */
const BEGINNING = 200;

/**
 * Tells of each change to our nft tables until the signal aborts: by the events of `nft monitor`, and while
 * that does not run, every POLL_MS. Never rejects.
 */
export async function watchTables(options: NftWatchOptions, signal: AbortSignal): Promise<void> {
  const { run, nft, now, sleep, onChange, onDown } = options;
  let pause = FIRST_PAUSE_MS;
  while (!signal.aborted) {
    const started = now();
    const heard = new AbortController();
    const deaf = AbortSignal.any([signal, heard.signal]);
    const ended = monitor(options, heard, signal);
    while (!deaf.aborted) {
      await run({ file: nft, args: ['-f', '-'], input: PROBE_TEXT }).catch(() => undefined);
      onChange();
      await sleep(POLL_MS, deaf);
    }
    const reason = await ended;
    pause = now() - started >= STABLE_MS ? FIRST_PAUSE_MS : pause;
    if (!signal.aborted && pause === FIRST_PAUSE_MS) {
      onDown(reason);
    }
    for (const end = now() + pause; now() < end && !signal.aborted; ) {
      onChange();
      await sleep(POLL_MS, signal);
    }
    pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
  }
}

/**
 * Runs the monitor to its end, and returns why it ended. `heard` is aborted when it hears of changes, or has
 * ended.
 */
async function monitor(
  { stream, nft, sleep, onChange }: NftWatchOptions,
  heard: AbortController,
  signal: AbortSignal,
): Promise<string> {
  let begun = '';
  const take = async (piece: string): Promise<void> => {
    if (!heard.signal.aborted) {
      heard.abort();
      onChange();
    }
    const text = begun + piece;
    begun = text.slice(text.lastIndexOf('\n') + 1).slice(0, BEGINNING);
    if (OURS.test(text)) {
      onChange();
      await sleep(REST_MS, signal);
    }
  };
  try {
    if (!existsSync(PRLIMIT)) {
      return `${PRLIMIT}: not found`;
    }
    const args = [`--as=${MOST_MEMORY}`, nft, 'monitor'];
    const { exitCode, stderr } = await stream({ file: PRLIMIT, args, timeoutMs: 0 }, take, signal);
    return `nft monitor: ${stderr.trim() || `exit status ${exitCode}`}`;
  } catch (error) {
    return messageOf(error);
  } finally {
    heard.abort();
  }
}
