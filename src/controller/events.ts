import type { Logger } from 'pino';
import type { KubeClient } from '../kube/client.ts';
import type { Grant } from './event-limit.ts';

export interface EventOptions {
  readonly client: KubeClient;
  /** Name of the controller's pod. */
  readonly identity: string;
  readonly now: () => number;
  readonly log: Logger;
  /** Whether an Event about this subject may be written now (`createEventLimit`). */
  readonly mayWrite: (subject: string) => Grant;
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
  /** Whose Events are counted together, if that is not the object: who makes as many objects as it likes. */
  readonly subject?: string;
}

/** Events about cluster-scoped objects are kept in this namespace. */
const NAMESPACE = 'default';
/** Longest note that the API server takes, in characters: it counts 1,024 bytes. */
const NOTE = 1_000;

/**
 * Writes an Event, unless too many like it came before. A failure is logged and does not stop the caller:
 * never rejects.
 */
export async function writeEvent(
  { client, now, identity, log, mayWrite }: EventOptions,
  { note, subject, ...content }: EventContent,
): Promise<void> {
  const { kind, name } = content.regarding;
  const { granted, dropped } = mayWrite(`${kind} ${subject ?? name} ${content.reason}`);
  if (!granted) {
    return;
  }
  const more = dropped === 0 ? '' : ` (and ${dropped} Events like this before it, left out)`;
  try {
    await client.request({
      method: 'POST',
      path: `/apis/events.k8s.io/v1/namespaces/${NAMESPACE}/events`,
      body: {
        apiVersion: 'events.k8s.io/v1',
        kind: 'Event',
        metadata: { generateName: `${name}-`, namespace: NAMESPACE },
        eventTime: new Date(now()).toISOString().replace('Z', '000Z'),
        ...content,
        note: `${note.slice(0, NOTE - more.length)}${more}`,
        reportingController: 'trapline.io/controller',
        reportingInstance: identity,
      },
    });
  } catch (error) {
    log.warn({ problem: (error as Error).message }, 'Event not written');
  }
}
