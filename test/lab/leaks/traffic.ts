/** What the streams of the leak table carry: recognisable in a capture, in every fragment. */
export const MARKER = 'TRAPLINE-LEAK';
/** The same for a port that no policy names: proof that the capture sees plaintext, in every row. */
export const CONTROL = 'TRAPLINE-OPEN';

/** A stream as its sender sees it. */
export interface StreamSpec {
  /** Without spaces. */
  readonly name: string;
  readonly kind: 'udp' | 'tcp' | 'icmp';
  readonly address: string;
  /** Of no meaning for ICMP. */
  readonly port: number;
  /** Of UDP alone; any that is free if not told. */
  readonly sourcePort?: number;
  /** Payload of each message. */
  readonly bytes: number;
  readonly everyMs: number;
  readonly marker: string;
}

/** `<marker> <stream> <seq> `, again and again; TCP messages end with a line feed. */
export function payloadOf({ marker, name, bytes }: StreamSpec, seq: number): Buffer {
  return Buffer.alloc(bytes, `${marker} ${name} ${seq} `);
}

/** Stream and number of a payload, if it is one. */
export function parsePayload(text: string): { readonly name: string; readonly seq: number } | undefined {
  const [, name, seq] = /^TRAPLINE-\w+ (\S+) (\d+) /.exec(text) ?? [];
  return name === undefined ? undefined : { name, seq: Number(seq) };
}
