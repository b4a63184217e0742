import type { NodeReport } from '../../src/agent/report/node-report.ts';
import type { Publisher } from '../../src/agent/report/publish.ts';
import type { RunFlags } from './flags.ts';

/** An agent that has reported nothing for this long hangs. */
const HUNG_MS = 60_000;

interface Observation {
  readonly publisher: Publisher | undefined;
  readonly signal: AbortSignal;
}

/** A publisher that hands each report on, and serves metrics and health from the same reports. */
export async function observed({ listen }: RunFlags, { publisher, signal }: Observation): Promise<Publisher> {
  const listeners: ((report: NodeReport) => void)[] = [];
  if (listen !== undefined) {
    const { createAgentMetrics } = await import('../../src/agent/report/metrics.ts');
    const { serveHttp } = await import('../../src/util/http.ts');
    const { registry, update } = createAgentMetrics();
    let [at, error] = [Date.now(), 'not in step yet'];
    listeners.push(update, (report) => {
      [at, error] = [Date.now(), report.error];
    });
    const health = (): string => {
      const silence = Date.now() - at;
      return silence > HUNG_MS ? `nothing done for ${Math.round(silence / 1_000)} s` : '';
    };
    await serveHttp({ listen, registry, health, readiness: () => health() || error }, signal);
  }
  return {
    publish(report) {
      for (const listener of listeners) {
        listener(report);
      }
      publisher?.publish(report);
    },
    run: async (running) => publisher?.run(running),
  };
}
