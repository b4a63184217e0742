import { fingerprint } from '../../pki/certificate.ts';
import type { x509 } from '../../pki/crypto.ts';

/** What a node says of its certificate. CAs are SHA-256, hex, of the certificates that nodes trust. */
export interface NodeTrust {
  readonly name: string;
  /** The CA of its certificate. */
  readonly root: string;
  readonly trusted: readonly string[];
  /** Its agent has not been heard of for too long. */
  readonly silent: boolean;
}

/**
 * The CAs that nodes are to trust, and the one in force: with it is signed, and to it nodes' certificates
 * should lead (SHA-256, hex).
 */
export interface Bundle {
  readonly root: string;
  readonly certificates: readonly x509.X509Certificate[];
}

/**
 * The step of a change of CAs that is under way: nodes come to `trust` the next CA, or `follow` it with a
 * certificate of it. `waitedMs`: for how long, counted by the clocks that nobody sets (step.ts).
 */
export interface Step {
  readonly kind: 'trust' | 'follow';
  readonly root: string;
  readonly waitedMs: number;
}

export interface Change {
  readonly bundle: Bundle;
  /** Undefined while nobody is waited for. */
  readonly step: Step | undefined;
  /** Nodes that the step waits for. */
  readonly waitingFor: readonly string[];
  /** Nodes for which it has waited for long enough: the step that has just ended went without them. */
  readonly givenUp: readonly string[];
}

export interface Situation {
  /** What nodes were told last. */
  readonly before: Bundle | undefined;
  /** The step of the last look. */
  readonly step: Step | undefined;
  /** What nodes trust for the CA that is wanted. */
  readonly wanted: x509.X509Certificate;
  readonly nodes: readonly NodeTrust[];
}

export interface Patience {
  /** How long a step waits for nodes. */
  readonly limitMs: number;
  /**
   * How long the step to trust another CA waits for silent nodes as well: after an outage of the API server
   * all nodes seem silent.
   */
  readonly silentMs: number;
}

/**
 * The steps from one CA to the next: nodes trust both, then the new one is in force and they get certificates
 * of it, then they forget the old one. Each step waits for every node whose certificate is of one of these
 * CAs, but not for ever: what one node says, or does not say, hurts no other. A node whose certificate is of
 * a CA that nobody knows has no part in it.
 */
export function nextBundle(situation: Situation, patience: Patience): Change {
  const { before, wanted } = situation;
  const root = fingerprint(wanted);
  const trusted = before?.certificates ?? [];
  if (before === undefined || trusted.length === 0) {
    return { bundle: { root, certificates: [wanted] }, step: undefined, waitingFor: [], givenUp: [] };
  }
  const certificates = trusted.some((one) => fingerprint(one) === root) ? trusted : [...trusted, wanted];
  const known = new Set(certificates.map(fingerprint));
  const nodes = situation.nodes.filter((node) => known.has(node.root));
  if (before.root === root) {
    return follow({ ...situation, nodes }, { root, certificates }, patience);
  }
  const wait = waited(situation.step, 'trust', root);
  const behind = nodes
    .filter((node) => !node.trusted.includes(root) && !(node.silent && wait.waitedMs >= patience.silentMs))
    .map(({ name }) => name);
  const over = behind.length === 0 || wait.waitedMs >= patience.limitMs || !known.has(before.root);
  return over
    ? { ...follow({ ...situation, nodes }, { root, certificates }, patience), givenUp: behind }
    : {
        bundle: { root: before.root, certificates },
        step: wait,
        waitingFor: behind,
        givenUp: [],
      };
}

/** While the new CA is in force and another one is still trusted. */
function follow(
  { step, wanted, nodes }: Pick<Situation, 'step' | 'wanted' | 'nodes'>,
  bundle: Bundle,
  patience: Patience,
): Change {
  const { root, certificates } = bundle;
  const wait = waited(step, 'follow', root);
  const behind = nodes.filter((node) => node.root !== root).map(({ name }) => name);
  const settled = certificates.length === 1;
  if (behind.length === 0 || settled || wait.waitedMs >= patience.limitMs) {
    const givenUp = settled ? [] : behind;
    return { bundle: { root, certificates: [wanted] }, step: undefined, waitingFor: [], givenUp };
  }
  return { bundle, step: wait, waitingFor: behind, givenUp: [] };
}

/** A step of which nothing is known begins now. */
function waited(before: Step | undefined, kind: Step['kind'], root: string): Step {
  return before?.kind === kind && before.root === root ? before : { kind, root, waitedMs: 0 };
}
