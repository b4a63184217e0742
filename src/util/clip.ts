/** The text, or its beginning and an ellipsis if it has more than `most` characters. */
export function clip(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1).toWellFormed()}…`;
}

/**
 * The first of a list, `most` in all. The last one of them says how many more there are, if there are more.
 */
export function clipList(texts: readonly string[], most: number): readonly string[] {
  return texts.length <= most
    ? texts
    : [...texts.slice(0, most - 1), `and ${texts.length - most + 1} more, which are not told`];
}
