import { existsSync, readFileSync } from 'node:fs';

/** One message of a stream; times in milliseconds since the epoch. */
interface Message {
  readonly sentAt: number;
  answeredAt: number | undefined;
}

/** What a stream went through in a stretch of time. */
export interface Passage {
  readonly sent: number;
  /** Sent in that time and never answered. */
  readonly lost: number;
  /** The longest time without an answer. */
  readonly gapMs: number;
}

/** The logs of senders, read as they stand. */
export interface Ledger {
  passage(stream: string, from: number, to: number): Passage;
  /** Whether a message that was sent after `since` has been answered. */
  answeredSince(stream: string, since: number): boolean;
  streams(): string[];
}

export function readLedger(logs: readonly string[]): Ledger {
  const streams = new Map<string, Map<number, Message>>();
  for (const log of logs.filter((path) => existsSync(path))) {
    for (const line of readFileSync(log, 'utf8').split('\n')) {
      const [what, name = '', seq, at] = line.split(' ');
      if (at === undefined) {
        continue;
      }
      const messages = streams.get(name) ?? new Map<number, Message>();
      streams.set(name, messages);
      if (what === 's') {
        messages.set(Number(seq), { sentAt: Number(at), answeredAt: undefined });
      } else {
        const message = messages.get(Number(seq));
        if (message !== undefined) {
          message.answeredAt ??= Number(at);
        }
      }
    }
  }
  const messagesOf = (stream: string): Message[] => [...(streams.get(stream)?.values() ?? [])];
  return {
    streams: () => [...streams.keys()].sort(),
    answeredSince: (stream, since) =>
      messagesOf(stream).some(({ sentAt, answeredAt }) => sentAt >= since && answeredAt !== undefined),
    passage(stream, from, to) {
      const within = messagesOf(stream).filter(({ sentAt }) => sentAt >= from && sentAt < to);
      const answers = messagesOf(stream)
        .flatMap(({ answeredAt }) => answeredAt ?? [])
        .filter((at) => at >= from && at < to)
        .sort((a, b) => a - b);
      const marks = [from, ...answers, to];
      const gaps = marks.slice(1).map((at, index) => at - (marks[index] ?? at));
      return {
        sent: within.length,
        lost: within.filter(({ answeredAt }) => answeredAt === undefined).length,
        gapMs: Math.max(0, ...gaps),
      };
    },
  };
}
