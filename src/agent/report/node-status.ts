import {
  type NodeCertificate,
  type NodeStatus,
  writtenPolicyOf,
} from '../../cluster/contract/node-status.ts';
import type { CertificateReport } from '../charon/link.ts';
import type { NodeReport } from './node-report.ts';

/** What never changes while the agent runs. */
export interface NodeFacts {
  readonly bootId: string;
  readonly version: string;
}

/** The health that a node has, and since when it is so: RFC 3339. */
export interface Transition {
  readonly status: NodeStatus['conditions'][number]['status'];
  readonly at: string;
}

/** What a status is made from, beside the report and the facts. */
interface StatusInputs {
  readonly transition: Transition;
  readonly certificate: NodeStatus['certificate'];
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/**
 * The part of a report that is written as soon as it changes, as a text to compare. Counts can wait: they
 * change with each pod of the cluster, on all nodes at once. Of a failure only the peer counts: its reason
 * can change with each packet.
 */
export function urgentPart({
  xfrmPolicies: _policies,
  ikeSas: _ike,
  childSas: _child,
  failures,
  ...rest
}: NodeReport): string {
  return JSON.stringify({ ...rest, failing: failures.map(({ peer }) => peer) });
}

export function renderCertificate({
  notBefore,
  notAfter,
  root,
  trusted,
}: CertificateReport): NodeCertificate {
  return { notBefore: notBefore.toISOString(), notAfter: notAfter.toISOString(), root, trusted };
}

/** `status` of the IPsecNode. */
export function renderStatus(
  report: NodeReport,
  { bootId, version }: NodeFacts,
  { transition, certificate, now }: StatusInputs,
): NodeStatus {
  const healthy = report.error === '';
  return {
    addresses: report.addresses,
    podCIDRs: report.podCidrs,
    ...(report.addressesOutside.length === 0 ? {} : { addressesOutside: report.addressesOutside }),
    bootID: bootId,
    agentVersion: version,
    observedPolicies: report.policies.map(writtenPolicyOf),
    xfrmPolicies: report.xfrmPolicies,
    ikeSas: report.ikeSas,
    childSas: report.childSas,
    lastHeartbeat: new Date(now).toISOString(),
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
