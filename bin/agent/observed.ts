import type { Logger } from 'pino';
import type { NodeReport } from '../../src/agent/report/node-report.ts';
import type { Publisher } from '../../src/agent/report/publish.ts';
import { sleep } from '../../src/util/sleep.ts';
import type { RunFlags } from './flags.ts';

/** An agent that has reported nothing for this long hangs. */
const HUNG_MS = 60_000;

interface Observation {
  readonly publisher: Publisher | undefined;
  readonly signal: AbortSignal;
  readonly log: Logger;
}

interface Observed {
  /** Hands each report on, and serves metrics and health from the same reports. */
  readonly publisher: Publisher;
  /** Why metrics and health are not served, if they should be. */
  readonly notices: () => readonly string[];
}

export async function observed(
  { listen }: RunFlags,
  { publisher, signal, log }: Observation,
): Promise<Observed> {
  const listeners: ((report: NodeReport) => void)[] = [];
  let notices: readonly string[] = [];
  if (listen !== undefined) {
    const { createAgentMetrics } = await import('../../src/agent/report/metrics.ts');
    const { serveHttp } = await import('../../src/util/http.ts');
    const { registry, update } = createAgentMetrics();
    let [at, error] = [performance.now(), 'not in step yet'];
    listeners.push(update, (report) => {
      [at, error] = [performance.now(), report.error];
    });
    const health = (): string => {
      const silence = performance.now() - at;
      return silence > HUNG_MS ? `nothing done for ${Math.round(silence / 1_000)} s` : '';
    };
    const onProblem = (problem: string): void => {
      notices = problem === '' ? [] : [problem];
      logListening(log, listen, problem);
    };
    serveHttp({ listen, registry, health, readiness: () => health() || error, onProblem, sleep }, signal);
  }
  return {
    publisher: {
      publish(report) {
        for (const listener of listeners) {
          listener(report);
        }
        publisher?.publish(report);
      },
      run: async (running) => publisher?.run(running),
    },
    notices: () => notices,
  };
}

/** Says why metrics and health are not served, or that they are. */
export function logListening(log: Logger, listen: string, problem: string): void {
  if (problem === '') {
    log.info({ listen }, 'metrics and health are served');
  } else {
    log.warn({ problem }, 'metrics and health are not served, trying again');
  }
}
