import type { Logger } from 'pino';
import type { KubeClient } from '../kube/client.ts';

export interface EventOptions {
  readonly client: KubeClient;
  /** Name of the controller's pod. */
  readonly identity: string;
  readonly now: () => number;
  readonly log: Logger;
}

/** The fields of an Event (events.k8s.io/v1) that differ from one of ours to the next. */
export interface EventContent {
  readonly regarding: {
    readonly apiVersion: string;
    readonly kind: string;
    readonly name: string;
    readonly uid: string;
  };
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly action: string;
  readonly note: string;
}

/** Events about cluster-scoped objects are kept in this namespace. */
const NAMESPACE = 'default';

/** Writes an Event. A failure is logged and does not stop the caller: never rejects. */
export async function writeEvent(
  { client, now, identity, log }: EventOptions,
  { note, ...content }: EventContent,
): Promise<void> {
  try {
    await client.request({
      method: 'POST',
      path: `/apis/events.k8s.io/v1/namespaces/${NAMESPACE}/events`,
      body: {
        apiVersion: 'events.k8s.io/v1',
        kind: 'Event',
        metadata: { generateName: `${content.regarding.name}-`, namespace: NAMESPACE },
        eventTime: new Date(now()).toISOString().replace('Z', '000Z'),
        ...content,
        note: note.slice(0, 1_000),
        reportingController: 'trapline.io/controller',
        reportingInstance: identity,
      },
    });
  } catch (error) {
    log.warn({ problem: (error as Error).message }, 'Event not written');
  }
}
