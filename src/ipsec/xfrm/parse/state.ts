import { blocksOf, UnknownLine, unreadable } from './block.ts';

/** An SA of the kernel, without its keys. */
export interface KernelState {
  readonly src: string;
  readonly dst: string;
  /** `esp`, `ah`, `comp`, ... */
  readonly proto: string;
  /** 0 for a larval SA, one whose negotiation has just begun. */
  readonly spi: number;
  readonly reqid: number;
  readonly mode: string;
  /**
   * Size of the replay window in packets. If `esn` is among the flags, it is the window of extended sequence
   * numbers.
   */
  readonly replayWindow: number;
  readonly flags: readonly string[];
  /** Empty for a larval SA. `icvBits` for `aead` and `auth-trunc` only. */
  readonly algorithms: readonly { readonly kind: string; readonly name: string; readonly icvBits?: number }[];
  readonly encap?: { readonly type: string; readonly sport: number; readonly dport: number };
  readonly mark?: { readonly value: number; readonly mask: number };
  readonly ifId?: number;
  /** Last sequence number received and sent. */
  readonly sequence?: { readonly in: number; readonly out: number };
  /** Present if `ip` ran with `-s`. */
  readonly usage?: KernelStateUsage;
}

/**
 * Counters and times of an SA. Times are RFC 3339 in UTC, the time zone in which the runner runs `ip`; an SA
 * that was never used has no `usedAt`.
 */
export interface KernelStateUsage {
  readonly bytes: number;
  readonly packets: number;
  readonly addedAt?: string;
  readonly usedAt?: string;
  /**
   * Counts of packets that were dropped because they were outside of the replay window, were replayed, or
   * failed their integrity check.
   */
  readonly dropped: { readonly window: number; readonly replay: number; readonly integrity: number };
}

const ENDS = /^src (\S+) dst (\S+)\s*$/;
const ID = /^\tproto (\S+)(?: spi (0x[0-9a-f]+)(?:\(\d+\))?)? reqid (\d+)(?:\(0x[0-9a-f]+\))? mode (\S+)\s*$/;
const REPLAY =
  /^\treplay-window (\d+)(?: seq \S+)?(?: flag ([^(]*?))?(?: extra-flag [^(]*)?(?: \(0x[0-9a-f]+\))?\s*$/m;
const ALGORITHM = /^\t(enc|auth|auth-trunc|aead|comp) (\S+)(?: <<Keys hidden>>)?(?: (\d+))?\s*$/gm;
const ENCAP = /^\tencap type (\S+) sport (\d+) dport (\d+) /m;
const MARK = /^\tmark (\S+)\/(\S+)/m;
const IF_ID = /^\tif_id (\S+)/m;
const CONTEXT = /^\tanti-replay context: seq (\S+), oseq (\S+),/m;
const ESN_CONTEXT = /^\t seq-hi (\S+), seq (\S+), oseq-hi (\S+), oseq (\S+)/m;
const ESN_WINDOW = /^\t replay_window (\d+),/m;
const CURRENT = /^\t {2}(\d+)\(bytes\), (\d+)\(packets\)\s*\n\t {2}add (.+?) use (.+?)\s*$/m;
const STATS = /^\t {2}replay-window (\d+) replay (\d+) failed (\d+)/m;

/**
 * Parses the output of `ip xfrm state list nokeys`, with or without `-s`. It skips attributes that nothing
 * here depends on, whether it knows them or not, so that neither another's SA nor a newer iproute2 stops us.
 * An error quotes a line only if that line cannot contain a key.
 *
 * @throws XfrmError `unreadable` if an SA's addresses or its identity are not understood
 */
export function parseStates(text: string): KernelState[] {
  try {
    return blocksOf(text).map(parseState);
  } catch (error) {
    throw error instanceof UnknownLine ? unreadable('ip xfrm state', error) : error;
  }
}

function parseState([first = '', second = '', ...rest]: readonly string[]): KernelState {
  const [, src = '', dst = ''] = match(ENDS, first);
  const [, proto = '', spi = '0', reqid, mode = ''] = match(ID, second);
  const body = rest.join('\n');
  const [, window = '0', flags = ''] = REPLAY.exec(body) ?? [];
  return {
    src,
    dst,
    proto,
    spi: Number(spi),
    reqid: Number(reqid),
    mode,
    replayWindow: Number(ESN_WINDOW.exec(body)?.[1] ?? window),
    flags: flags.split(' ').filter((flag) => flag !== ''),
    algorithms: [...body.matchAll(ALGORITHM)].map(([, kind = '', name = '', icv]) =>
      icv === undefined ? { kind, name } : { kind, name, icvBits: Number(icv) },
    ),
    ...optionalParts(body),
  };
}

function optionalParts(body: string): Partial<KernelState> {
  const encap = ENCAP.exec(body);
  const mark = MARK.exec(body);
  const ifId = IF_ID.exec(body);
  const sequence = parseSequence(body);
  const usage = parseUsage(body);
  return {
    ...(encap && {
      encap: { type: encap[1] ?? '', sport: Number(encap[2]), dport: Number(encap[3]) },
    }),
    ...(mark && { mark: { value: Number(mark[1]), mask: Number(mark[2]) } }),
    ...(ifId && { ifId: Number(ifId[1]) }),
    ...(sequence && { sequence }),
    ...(usage && { usage }),
  };
}

function parseSequence(body: string): KernelState['sequence'] {
  const esn = ESN_CONTEXT.exec(body);
  if (esn !== null) {
    const [, inHigh, inLow, outHigh, outLow] = esn.map(Number);
    return { in: whole(inHigh, inLow), out: whole(outHigh, outLow) };
  }
  const context = CONTEXT.exec(body);
  return context === null ? undefined : { in: Number(context[1]), out: Number(context[2]) };
}

function parseUsage(body: string): KernelStateUsage | undefined {
  const current = CURRENT.exec(body);
  if (current === null) {
    return undefined;
  }
  const [, bytes, packets, added = '-', used = '-'] = current;
  const [, window = '0', replay = '0', integrity = '0'] = STATS.exec(body) ?? [];
  return {
    bytes: Number(bytes),
    packets: Number(packets),
    ...(added === '-' ? {} : { addedAt: toTime(added) }),
    ...(used === '-' ? {} : { usedAt: toTime(used) }),
    dropped: { window: Number(window), replay: Number(replay), integrity: Number(integrity) },
  };
}

function toTime(text: string): string {
  return `${text.replace(' ', 'T')}Z`;
}

function whole(high = 0, low = 0): number {
  return high * 2 ** 32 + low;
}

function match(pattern: RegExp, line: string): RegExpExecArray {
  const found = pattern.exec(line);
  if (found === null) {
    throw new UnknownLine(line);
  }
  return found;
}
