/**
 * A text for a log, a terminal or a status: control characters, line ends and characters that turn the
 * direction of writing are written as `\u{…}`. At most `most` characters are kept; the copy holds on to
 * nothing of the original, which may be of any size.
 */
export function printable(text: string, most: number): string {
  const [start, end] = text.length <= most ? [text, ''] : [text.slice(0, most), '…'];
  const safe = start.replace(
    /[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/gu,
    (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`,
  );
  // A slice of a string keeps the whole string alive; the way through bytes does not.
  return Buffer.from(`${safe}${end}`).toString();
}

/** A value of any kind as JSON, as far as it has that form, for a message. */
export function shown(value: unknown, most: number): string {
  const text = typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? 'nothing');
  return printable(text, most);
}

/** The first of a list, with commas between; the last one says how many more there are, if there are more. */
export function firstOf(texts: readonly string[], most: number): string {
  const more = texts.length - most;
  return more <= 0 ? texts.join(', ') : `${texts.slice(0, most).join(', ')} and ${more} more`;
}
