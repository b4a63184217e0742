/** Prints steps with a verdict each. Colour only on a terminal. */

export interface Report {
  /** Runs a step; a step that throws has failed, the next ones run all the same. */
  step(title: string, body: (say: (line: string) => void) => Promise<void>): Promise<boolean>;
  /** Prints `N passed, N failed` and returns the exit status. */
  finish(): number;
}

export class CheckError extends Error {
  override readonly name = 'CheckError';
}

/** Throws CheckError unless the condition holds. */
export function check(holds: boolean, message: string): void {
  if (!holds) {
    throw new CheckError(message);
  }
}

export function createReport(prefix: string): Report {
  const started = performance.now();
  const paint = (code: number, text: string): string =>
    process.stdout.isTTY && process.env.NO_COLOR === undefined ? `\u001b[${code}m${text}\u001b[0m` : text;
  const since = (from: number): string => `${((performance.now() - from) / 1000).toFixed(1)} s`;
  let passed = 0;
  let failed = 0;
  return {
    async step(title, body) {
      const from = performance.now();
      const lines: string[] = [];
      try {
        await body((line) => lines.push(line));
        passed += 1;
        process.stdout.write(`${paint(32, 'ok  ')} ${prefix}${title} (${since(from)})\n`);
      } catch (error) {
        failed += 1;
        lines.push(paint(31, error instanceof Error ? error.message : String(error)));
        process.stdout.write(`${paint(31, 'FAIL')} ${prefix}${title} (${since(from)})\n`);
      }
      for (const line of lines.flatMap((text) => text.trimEnd().split('\n'))) {
        process.stdout.write(`       ${line}\n`);
      }
      return failed === 0;
    },
    finish() {
      process.stdout.write(`${prefix}${passed} passed, ${failed} failed in ${since(started)}\n`);
      return failed === 0 ? 0 : 1;
    },
  };
}
