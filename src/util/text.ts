const texts = new WeakMap<object, string>();

/** The JSON text of a value that nobody changes any more; that of an object is made once. */
export function textOf(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) {
    return JSON.stringify(value);
  }
  const text = texts.get(value) ?? JSON.stringify(value);
  texts.set(value, text);
  return text;
}
