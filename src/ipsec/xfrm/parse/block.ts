import { XfrmError } from '../error.ts';

/** A line of output that a parser does not understand. */
export class UnknownLine extends Error {
  readonly line: string;

  constructor(line: string) {
    super(line);
    this.line = line;
  }
}

/** Splits the output of `ip xfrm` into its entries: a line that is not indented starts one. */
export function blocksOf(text: string): string[][] {
  const blocks: string[][] = [];
  for (const line of text.split('\n')) {
    const last = blocks.at(-1);
    if (line === '') {
      continue;
    }
    if (line.startsWith('\t') && last !== undefined) {
      last.push(line);
    } else {
      blocks.push([line]);
    }
  }
  return blocks;
}

/** Where the entry after the one at `from` begins; the text's length if there is none. */
export function nextBlock(text: string, from: number): number {
  for (let end = text.indexOf('\n', from); end >= 0; end = text.indexOf('\n', end + 1)) {
    if (text[end + 1] !== '\t') {
      return end + 1;
    }
  }
  return text.length;
}

/**
 * Splits a piece of the output of `ip xfrm` into the entries that it has complete, and the beginning of an
 * entry that may go on in the next piece.
 */
export function completeBlocks(text: string): [complete: string, begun: string] {
  for (let end = text.lastIndexOf('\n', text.length - 2); end >= 0; end = text.lastIndexOf('\n', end - 1)) {
    if (text[end + 1] !== '\t') {
      return [text.slice(0, end + 1), text.slice(end + 1)];
    }
  }
  return ['', text];
}

export function unreadable(command: string, { line }: UnknownLine): XfrmError {
  return new XfrmError(
    { reason: 'unreadable', line },
    `${command}: a line is not understood: ${JSON.stringify(line)}`,
  );
}
