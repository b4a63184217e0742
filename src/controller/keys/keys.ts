/**
 * The CA of the cluster, and the certificates of nodes. `authority.ts` keeps the CA (`secrets.ts`: where it
 * is) and tells nodes whom to trust, `bundle.ts` decides the steps from one CA to the next (`step.ts`: as
 * they are written down and timed, `silence.ts`: without whom), `given-up.ts` names the nodes that they went
 * without, `judge.ts` decides about requests, `sign.ts` answers them, and `expiry.ts` announces certificates
 * that nobody has renewed. The room touches the API server alone. The private key of the CA is read here and
 * nowhere else in the cluster, and never logged.
 */

import * as z from 'zod';
import type { IPsecNode } from '../../cluster/contract/node-status.ts';
import { createReflector } from '../../kube/reflector.ts';
import { PkiError } from '../../pki/error.ts';
import { SIGNER_NAME } from '../../pki/request.ts';
import { createWake } from '../../util/wake.ts';
import type { EventOptions } from '../events.ts';
import { keepAuthority } from './authority.ts';
import type { NodeTrust } from './bundle.ts';
import { announceExpiry } from './expiry.ts';
import { announceGivenUp } from './given-up.ts';
import { type SigningRequest, signingRequestSchema } from './judge.ts';
import type { AuthorityOptions } from './secrets.ts';
import { answer, fairShare, isAnswered, SIGNING_REQUESTS_PATH } from './sign.ts';
import { createSilence, type Silence } from './silence.ts';
import { createStepCounter } from './step.ts';

export interface KeysOptions extends AuthorityOptions, EventOptions {
  /** Name of the agents' ServiceAccount, which is in the namespace of the CA. */
  readonly agentAccount: string;
  /** Longest life of a node's certificate. */
  readonly days: number;
  /** Monotonic, milliseconds. */
  readonly clock: () => number;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Gets the nodes that a step to another CA waits for, each time that it looks. */
  readonly onStragglers: (nodes: readonly string[]) => void;
}

/** What the controller has read of the cluster already. */
export interface KeysView {
  /** Names of all Nodes; undefined until they have been read. */
  nodes(): ReadonlySet<string> | undefined;
  reports(): Iterable<IPsecNode>;
}

/** How many nodes a line of the log names. */
const NAMED = 10;
const ROUND_MS = 5_000;
const RETRY_MS = 5_000;

/** Keeps the CA, and answers the requests of nodes, until the signal aborts. Never rejects. */
export async function keepKeys(options: KeysOptions, view: KeysView, signal: AbortSignal): Promise<void> {
  const { client, namespace, agentAccount, days, log, sleep, now } = options;
  const wake = createWake();
  const requests = createReflector({
    client,
    path: SIGNING_REQUESTS_PATH,
    query: { fieldSelector: `spec.signerName=${SIGNER_NAME}` },
    parse: (raw): SigningRequest | string => {
      const parsed = signingRequestSchema.safeParse(raw);
      return parsed.success ? parsed.data : z.prettifyError(parsed.error);
    },
    onChange: wake.notify,
  });
  const steps = createStepCounter(options.clock);
  const silence = createSilence(options.clock);
  const expiring = new Map<string, string>();
  const { onStragglers } = options;
  let waiting = '';
  let broken = '';
  let said = '';

  const round = async (nodes: ReadonlySet<string>): Promise<void> => {
    const reports = [...view.reports()].filter(({ metadata }) => nodes.has(metadata.name));
    silence.forgetAllBut(nodes);
    const trust = reports.flatMap((report) => trustOf(report, silence));
    const { authority, step, waitingFor, givenUp, problem } = await keepAuthority(options, trust, steps);
    if (waiting !== waitingFor.join()) {
      waiting = waitingFor.join();
      log.info({ step: step?.kind, waitingFor: waitingFor.slice(0, NAMED), nodes: waitingFor.length }, 'CA');
    }
    if (broken !== problem) {
      broken = problem;
      log.warn({ problem }, problem === '' ? 'the CA of the Secret is taken' : 'the CA in force goes on');
    }
    onStragglers(waitingFor);
    await announceGivenUp(options, reports, givenUp);
    const agent = `system:serviceaccount:${namespace}:${agentAccount}`;
    const open = [...requests.items.values()].filter((one) => !isAnswered(one));
    if (authority === undefined) {
      if (open.length > 0) {
        throw new PkiError(`the CA in force is not at hand: signed again once nodes trust the next one`);
      }
      return;
    }
    const turn = fairShare(open);
    for (const request of turn) {
      // A request that cannot be answered must not keep the others waiting.
      await answer(options, request, { authority, law: { agent, nodes, days } }).catch((error: Error) =>
        log.warn({ request: request.metadata.name, problem: error.message }, 'request not answered'),
      );
    }
    await announceExpiry(options, reports, expiring);
    if (turn.length < open.length) {
      wake.notify();
    }
  };

  const following = requests.run(signal);
  while (!signal.aborted) {
    const nodes = view.nodes();
    if (nodes !== undefined && requests.synced) {
      try {
        await round(nodes);
        said = '';
      } catch (error) {
        const { message } = error as Error;
        if (message !== said) {
          log.warn({ problem: message, at: now() }, 'keys not kept');
          said = message;
        }
        await sleep(RETRY_MS, signal);
      }
    }
    await wake.wait(ROUND_MS, signal);
  }
  onStragglers([]);
  await following;
}

/** Nothing of a node that has no certificate yet: it holds up no step. */
function trustOf({ metadata, status }: IPsecNode, silence: Silence): NodeTrust[] {
  const { root = '', trusted = [] } = status?.certificate ?? {};
  const silent = silence.isSilent(metadata.name, status?.lastHeartbeat ?? '');
  return root === '' ? [] : [{ name: metadata.name, root, trusted, silent }];
}
