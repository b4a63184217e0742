import type { Logger } from 'pino';
import * as z from 'zod';
import type { Phase } from '../../ipsec/plan/types.ts';
import { APPLY_PATCH, type KubeClient } from '../../kube/client.ts';
import { isNotFound } from '../../kube/error.ts';
import { messageOf } from '../../util/message-of.ts';
import { createWake } from '../../util/wake.ts';
import type { CertificateReport } from '../charon/link.ts';
import { renderCertificate, renderStatus, urgentPart } from './node-status.ts';

/** An IPsecPolicy of which this node enforces this generation. */
export interface PolicyRef {
  readonly name: string;
  readonly uid: string;
  readonly generation: number;
  /** How far its new ports are; absent: not yet so far that the others could take a step. */
  readonly phase?: Phase;
}

/** What the agent knows of its own node. */
export interface NodeReport {
  readonly addresses: readonly string[];
  readonly podCidrs: readonly string[];
  readonly policies: readonly PolicyRef[];
  readonly xfrmPolicies: number;
  readonly ikeSas: number;
  readonly childSas: number;
  /** What charon works with; null while it has none. */
  readonly certificate: CertificateReport | null;
  /** Negotiations that fail, and why. */
  readonly failures: readonly { readonly peer: string; readonly reason: string }[];
  readonly problems: readonly string[];
  /** Empty if the node is well. */
  readonly error: string;
}

export interface PublisherOptions {
  readonly client: KubeClient;
  readonly nodeName: string;
  readonly bootId: string;
  readonly version: string;
  readonly now: () => number;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly log: Logger;
}

export interface Publisher {
  /** Takes the newest report; cheap. */
  publish(report: NodeReport): void;
  /** Writes reports to the API server until the signal aborts; never rejects. */
  run(signal: AbortSignal): Promise<void>;
}

const API = '/apis/trapline.io/v1alpha1/ipsecnodes';
const MANAGER = 'trapline-agent';
/** A node that has not written for three of these is not believed to enforce anything. */
export const NODE_HEARTBEAT_MS = 60_000;
/** How often it is looked whether that time has come. */
const LOOK_MS = 10_000;
const RETRY_MS = 5_000;

const nodeSchema = z.object({ metadata: z.object({ uid: z.string() }) });
const written = z.object({
  status: z
    .object({
      conditions: z.array(z.object({ status: z.string(), lastTransitionTime: z.string() })).optional(),
      certificate: z.looseObject({}).optional(),
    })
    .optional(),
});

/**
 * Keeps the IPsecNode of this node, and no other, in step with the agent's reports: at once where policies or health change, with
 * the heartbeat for the rest, so that a thousand nodes do not wear the API server down.
 */
export function createPublisher(options: PublisherOptions): Publisher {
  const { client, nodeName, now, sleep, log } = options;
  const wake = createWake();
  let report: NodeReport | null = null;
  let urgent = '';
  let last = Number.NEGATIVE_INFINITY;
  let transition = { status: '', at: '' };
  /** A node has its certificate while charon is away, too. */
  let certificate: object | undefined;

  const path = `${API}/${nodeName}`;
  const apply = (at: string, body: object): Promise<unknown> =>
    client.request({
      method: 'PATCH',
      path: at,
      query: { fieldManager: MANAGER, force: 'true' },
      contentType: APPLY_PATCH,
      body: { apiVersion: 'trapline.io/v1alpha1', kind: 'IPsecNode', ...body },
    });

  /** It goes with its Node: the owner's uid ties it to this Node, not to a later one of the same name. */
  const create = async (): Promise<void> => {
    const { metadata } = nodeSchema.parse(await client.request({ path: `/api/v1/nodes/${nodeName}` }));
    const owner = { apiVersion: 'v1', kind: 'Node', name: nodeName, uid: metadata.uid };
    await apply(path, { metadata: { name: nodeName, ownerReferences: [owner] } });
  };

  const write = async (given: NodeReport): Promise<void> => {
    const healthy = given.error === '' ? 'True' : 'False';
    if (transition.status !== healthy) {
      transition = { status: healthy, at: new Date(now()).toISOString() };
    }
    certificate = given.certificate === null ? certificate : renderCertificate(given.certificate);
    const status = renderStatus(given, options, { transition, certificate });
    const body = { metadata: { name: nodeName }, status };
    try {
      await apply(`${path}/status`, body);
    } catch (error) {
      if (!isNotFound(error)) {
        throw error;
      }
      await create();
      await apply(`${path}/status`, body);
    }
  };

  /** The time of the last change of health outlives the agent. */
  const recall = async (): Promise<void> => {
    const { status } = written.parse(await client.request({ path }));
    const [condition] = status?.conditions ?? [];
    certificate = status?.certificate;
    if (condition !== undefined) {
      transition = { status: condition.status, at: condition.lastTransitionTime };
    }
  };

  return {
    publish(next) {
      report = next;
      if (urgentPart(next) !== urgent) {
        wake.notify();
      }
    },
    async run(signal) {
      await recall().catch(() => undefined);
      let said = '';
      while (!signal.aborted) {
        await wake.wait(LOOK_MS, signal);
        const given = report;
        const due = given !== null && (urgentPart(given) !== urgent || now() - last >= NODE_HEARTBEAT_MS);
        if (given === null || !due || signal.aborted) {
          continue;
        }
        try {
          await write(given);
          [urgent, last, said] = [urgentPart(given), now(), ''];
        } catch (error) {
          const message = messageOf(error);
          if (message !== said) {
            log.warn({ problem: message }, 'IPsecNode not written');
            said = message;
          }
          await sleep(RETRY_MS, signal);
          wake.notify();
        }
      }
    },
  };
}
