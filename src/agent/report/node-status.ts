import type { CertificateReport } from '../charon/link.ts';
import type { NodeReport, PublisherOptions } from './publish.ts';

/** Counts can wait: they change with each pod of the cluster, on all nodes at once. Of a failure the peer alone: its reason can change with each packet. */
export function urgentPart({
  xfrmPolicies: _policies,
  ikeSas: _ike,
  childSas: _child,
  failures,
  ...rest
}: NodeReport): string {
  return JSON.stringify({ ...rest, failing: failures.map(({ peer }) => peer) });
}

/** What outlives a report. */
interface Kept {
  readonly transition: { readonly status: string; readonly at: string };
  readonly certificate: object | undefined;
}

export function renderCertificate({ notBefore, notAfter, root, trusted }: CertificateReport): object {
  return { notBefore: notBefore.toISOString(), notAfter: notAfter.toISOString(), root, trusted };
}

/** `status` of the IPsecNode. */
export function renderStatus(
  report: NodeReport,
  { bootId, version, now }: PublisherOptions,
  { transition, certificate }: Kept,
): object {
  const healthy = report.error === '';
  return {
    addresses: report.addresses,
    podCIDRs: report.podCidrs,
    bootID: bootId,
    agentVersion: version,
    observedPolicies: report.policies,
    xfrmPolicies: report.xfrmPolicies,
    ikeSas: report.ikeSas,
    childSas: report.childSas,
    lastHeartbeat: new Date(now()).toISOString(),
    ...(certificate === undefined ? {} : { certificate }),
    failures: report.failures,
    problems: report.problems,
    conditions: [
      {
        type: 'Healthy',
        status: transition.status,
        lastTransitionTime: transition.at,
        reason: healthy ? 'AgentInStep' : 'AgentNotInStep',
        message: report.error.slice(0, 1_024),
      },
    ],
  };
}
