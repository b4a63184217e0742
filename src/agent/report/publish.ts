/**
 * What a node tells the cluster of itself. This room turns the agent's reports (`NodeReport`) into the status
 * of the node's IPsecNode and into metrics; it decides when to write, never what is enforced. It touches the
 * API server, through a client that is passed in, and nothing else. It imports the contract with the
 * controller, `src/kube` and `src/util`; of the rest of the agent it imports types alone.
 */

import type { Logger } from 'pino';
import * as z from 'zod';
import { NODE_HEARTBEAT_MS } from '../../cluster/contract/heartbeat.ts';
import { formerNodeSchema, type NodeStatus } from '../../cluster/contract/node-status.ts';
import { IPSEC_NODE, IPSEC_NODES_PATH, LENDS_LABEL } from '../../cluster/contract/resources.ts';
import { APPLY_PATCH, type KubeClient } from '../../kube/client.ts';
import { isNotFound } from '../../kube/error.ts';
import { messageOf } from '../../util/message-of.ts';
import { createWake } from '../../util/wake.ts';
import type { NodeReport } from './node-report.ts';
import {
  type NodeFacts,
  renderCertificate,
  renderStatus,
  type Transition,
  urgentPart,
} from './node-status.ts';

export interface PublisherOptions extends NodeFacts {
  readonly client: KubeClient;
  readonly nodeName: string;
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

const MANAGER = 'trapline-agent';
/** How often the publisher checks whether the next heartbeat is due. */
const LOOK_MS = 10_000;
const RETRY_MS = 5_000;

const nodeSchema = z.object({ metadata: z.object({ uid: z.string() }) });

/**
 * Keeps the IPsecNode of this node, and no other, in step with the agent's reports. A change of policies or
 * health is written at once; all else waits for the next heartbeat, so that a thousand nodes do not wear the
 * API server down.
 */
export function createPublisher(options: PublisherOptions): Publisher {
  const { client, nodeName, now, sleep, log } = options;
  const wake = createWake();
  let report: NodeReport | null = null;
  let urgent = '';
  let last = Number.NEGATIVE_INFINITY;
  let transition: Transition | undefined;
  /** A node has its certificate while charon is away, too. */
  let certificate: NodeStatus['certificate'];
  /** Whether the IPsecNode has the label by which other agents watch it. */
  let labelled = false;

  const path = `${IPSEC_NODES_PATH}/${nodeName}`;
  const apply = (at: string, body: object): Promise<unknown> =>
    client.request({
      method: 'PATCH',
      path: at,
      query: { fieldManager: MANAGER, force: 'true' },
      contentType: APPLY_PATCH,
      body: { ...IPSEC_NODE, ...body },
    });

  /**
   * The IPsecNode is deleted with its Node: the owner's uid ties it to this Node, not to a later one of that
   * name.
   */
  const applyMetadata = async (lends: boolean): Promise<void> => {
    const { metadata } = nodeSchema.parse(await client.request({ path: `/api/v1/nodes/${nodeName}` }));
    const owner = { apiVersion: 'v1', kind: 'Node', name: nodeName, uid: metadata.uid };
    // What an apply leaves out that the same manager had applied before is removed.
    const labels = lends ? { labels: { [LENDS_LABEL]: 'true' } } : {};
    await apply(path, { metadata: { name: nodeName, ownerReferences: [owner], ...labels } });
    labelled = lends;
  };

  const write = async (given: NodeReport): Promise<void> => {
    const healthy = given.error === '' ? 'True' : 'False';
    if (transition?.status !== healthy) {
      transition = { status: healthy, at: new Date(now()).toISOString() };
    }
    certificate = given.certificate === null ? certificate : renderCertificate(given.certificate);
    const status = renderStatus(given, options, { transition, certificate, now: now() });
    const body = { metadata: { name: nodeName }, status };
    const lends = given.addressesOutside.length > 0;
    try {
      await apply(`${path}/status`, body);
    } catch (error) {
      if (!isNotFound(error)) {
        throw error;
      }
      await applyMetadata(lends);
      await apply(`${path}/status`, body);
    }
    if (labelled !== lends) {
      await applyMetadata(lends);
    }
  };

  /** The time of the last change of health outlives the agent. */
  const recall = async (): Promise<void> => {
    const { metadata, status } = formerNodeSchema.parse(await client.request({ path }));
    labelled = metadata?.labels?.[LENDS_LABEL] === 'true';
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
        const due =
          given !== null && (urgentPart(given) !== urgent || Math.abs(now() - last) >= NODE_HEARTBEAT_MS);
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
