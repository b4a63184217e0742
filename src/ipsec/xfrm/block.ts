import { XfrmError } from './error.ts';

/** A line of `ip` that a parser does not know. */
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

export function unreadable(command: string, { line }: UnknownLine): XfrmError {
  return new XfrmError(
    { reason: 'unreadable', line },
    `${command}: a line is not understood: ${JSON.stringify(line)}`,
  );
}
