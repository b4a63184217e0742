import { setTimeout as sleep } from 'node:timers/promises';

/** What `look` finds, asked again and again; throws after `limitMs`. */
export async function until<T>(
  what: string,
  look: () => T | undefined | false | Promise<T | undefined | false>,
  limitMs = 60_000,
): Promise<T> {
  const started = Date.now();
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) {
      return found;
    }
    if (Date.now() - started > limitMs) {
      throw new Error(`not within ${limitMs} ms: ${what}`);
    }
    await sleep(30);
  }
}
