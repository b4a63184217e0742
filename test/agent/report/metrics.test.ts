import test from 'ava';
import { createAgentMetrics } from '../../../src/agent/report/metrics.ts';
import type { NodeReport } from '../../../src/agent/report/node-report.ts';

const REPORT: NodeReport = {
  addresses: [],
  podCidrs: [],
  addressesOutside: [],
  policies: [],
  xfrmPolicies: 12,
  ikeSas: 1,
  childSas: 2,
  certificate: null,
  failures: [],
  problems: [],
  error: '',
};

test('negotiations that fail are counted by reason, and gone when none fails', async (t) => {
  const { registry, update } = createAgentMetrics();
  const failing = async (...reasons: string[]): Promise<string[]> => {
    update({ ...REPORT, failures: reasons.map((reason, index) => ({ peer: `node-${index}`, reason })) });
    const text = await registry.getSingleMetricAsString('trapline_negotiation_failures');
    return text.split('\n').filter((line) => !line.startsWith('#') && line !== '');
  };
  t.deepEqual(await failing('no answer', 'refused', 'no answer'), [
    'trapline_negotiation_failures{reason="no answer"} 2',
    'trapline_negotiation_failures{reason="refused"} 1',
  ]);
  t.deepEqual(await failing('refused'), ['trapline_negotiation_failures{reason="refused"} 1']);
  t.deepEqual(await failing(), []);
});
