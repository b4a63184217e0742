import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { NodeReport } from './node-report.ts';

/** What the agent of a node offers to Prometheus, taken from its newest report. */
export interface AgentMetrics {
  readonly registry: Registry;
  readonly update: (report: NodeReport) => void;
}

export function createAgentMetrics(): AgentMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const gauge = (name: string, help: string): Gauge =>
    new Gauge({ name: `trapline_${name}`, help, registers: [registry] });
  const healthy = gauge('healthy', '1 if the node is in step with the cluster and charon answers.');
  const policies = gauge('xfrm_policies', 'XFRM policies that the plan has.');
  const ikeSas = gauge('ike_sas', 'IKE_SAs with peers.');
  const childSas = gauge('child_sas', 'CHILD_SAs with peers.');
  const problems = gauge('problems', 'Objects that are not in force as written.');
  const failures = new Gauge({
    name: 'trapline_negotiation_failures',
    help: 'Peers with which the last negotiation failed, by reason. No series while none fails.',
    labelNames: ['reason'],
    registers: [registry],
  });
  const certificate = gauge(
    'certificate_expiry_timestamp_seconds',
    'Until when the certificate of the node serves.',
  );
  return {
    registry,
    update(report) {
      healthy.set(report.error === '' ? 1 : 0);
      policies.set(report.xfrmPolicies);
      ikeSas.set(report.ikeSas);
      childSas.set(report.childSas);
      problems.set(report.problems.length);
      failures.reset();
      for (const { reason } of report.failures) {
        failures.inc({ reason });
      }
      certificate.set(report.certificate === null ? 0 : report.certificate.notAfter.getTime() / 1_000);
    },
  };
}
