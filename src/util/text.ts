const texts = new WeakMap<object, string>();

/**
 * The JSON text of a value that nobody changes any more. That of an object is made once and kept for as long
 * as the object lives.
 */
export function textOf(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) {
    return JSON.stringify(value);
  }
  const text = texts.get(value) ?? JSON.stringify(value);
  texts.set(value, text);
  return text;
}
