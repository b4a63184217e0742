import { type KubeClient, MERGE_PATCH } from '../../kube/client.ts';
import { type Authority, certify } from '../../pki/authority.ts';
import { type EventOptions, writeEvent } from '../events.ts';
import { judge, type Law, NODE_NAME, type SigningRequest } from './judge.ts';

export const SIGNING_REQUESTS_PATH = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
/** How many requests of one requester are answered before the others have their turn again. */
const AT_ONCE = 4;

/** Whether somebody has signed, denied or failed the request. */
export function isAnswered({ status }: SigningRequest): boolean {
  return (
    status?.certificate !== undefined ||
    (status?.conditions ?? []).some(({ type }) => type === 'Denied' || type === 'Failed')
  );
}

/** Who files the request: the user, and the node that its token is bound to. */
export function requesterOf({ spec }: SigningRequest): string {
  return [spec.username, ...(spec.extra[NODE_NAME] ?? [])].join(' ');
}

/**
 * The requests to answer now: a few of each requester's. Whoever files thousands waits for itself alone.
 */
export function fairShare(requests: readonly SigningRequest[]): SigningRequest[] {
  const count = new Map<string, number>();
  return requests.filter((request) => {
    const requester = requesterOf(request);
    const before = count.get(requester) ?? 0;
    count.set(requester, before + 1);
    return before < AT_ONCE;
  });
}

/** Signs the request, or denies it with the reason in its condition and in an Event. Throws KubeError. */
export async function answer(
  options: EventOptions,
  request: SigningRequest,
  { authority, law }: { readonly authority: Authority; readonly law: Law },
): Promise<void> {
  const { client, now, log } = options;
  const { name, uid } = request.metadata;
  const regarding = { apiVersion: 'certificates.k8s.io/v1', kind: 'CertificateSigningRequest', name, uid };
  const subject = requesterOf(request);
  const verdict = await judge(request, law);
  if (verdict.kind === 'deny') {
    const { reason, message } = verdict;
    log.warn(
      { request: name, requester: request.spec.username, reason, problem: message },
      'certificate denied',
    );
    await condition(client, request, { reason, message, approved: false });
    await writeEvent(options, { regarding, subject, type: 'Warning', reason, action: 'Deny', note: message });
    return;
  }
  const certificate = await certify(authority, { ...verdict, now: new Date(now()) });
  await condition(client, request, {
    reason: 'NodeVerified',
    message: `the requester's token is bound to node ${verdict.node}`,
    approved: true,
  });
  await client.request({
    method: 'PATCH',
    path: `${SIGNING_REQUESTS_PATH}/${name}/status`,
    contentType: MERGE_PATCH,
    body: { status: { certificate: Buffer.from(certificate).toString('base64') } },
  });
  log.info({ request: name, node: verdict.node }, 'certificate signed');
  const note = `signed for node ${verdict.node}`;
  await writeEvent(options, { regarding, subject, type: 'Normal', reason: 'Signed', action: 'Sign', note });
}

interface Decision {
  readonly reason: string;
  readonly message: string;
  readonly approved: boolean;
}

/**
 * Adds our decision to the conditions of the request. A request that somebody else has approved cannot be
 * denied any more: it is marked as failed instead.
 */
async function condition(
  client: KubeClient,
  { metadata: { name }, status }: SigningRequest,
  { reason, message, approved }: Decision,
): Promise<void> {
  const before = status?.conditions ?? [];
  const wasApproved = before.some(({ type }) => type === 'Approved');
  if (approved && wasApproved) {
    return;
  }
  const failed = wasApproved && !approved;
  const type = approved ? 'Approved' : failed ? 'Failed' : 'Denied';
  await client.request({
    method: 'PATCH',
    path: `${SIGNING_REQUESTS_PATH}/${name}/${failed ? 'status' : 'approval'}`,
    contentType: MERGE_PATCH,
    body: { status: { conditions: [...before, { type, status: 'True', reason, message }] } },
  });
}
