import { createHash } from 'node:crypto';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import type { KubeClient } from '../../kube/client.ts';
import { isConflict, isNotFound } from '../../kube/error.ts';
import { NODE_CERTIFICATE, NODE_KEY, readPem } from '../../pki/ca.ts';
import {
  exportPrivateKey,
  generateKeys,
  importPrivateKey,
  type KeyType,
  type SigningKey,
} from '../../pki/crypto.ts';
import { PkiError } from '../../pki/error.ts';
import { checkIdentity, type NodeIdentity } from '../../pki/identity.ts';
import { createRequest, SIGNER_NAME, USAGES } from '../../pki/request.ts';
import { writeFileAtomic } from '../../rundir/write.ts';

/** File name of the key of a request that is not answered yet. */
const NEXT_KEY = 'next.key';
const PATH = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
const POLL_MS = 1_000;
/**
 * How long to wait for an answer before the caller looks at the CAs again: a controller that waits for this
 * node to trust another CA signs nothing until the node does.
 */
const PATIENCE_MS = 10_000;

const requestSchema = z.object({
  status: z
    .object({
      certificate: z.string().optional(),
      conditions: z
        .array(z.object({ type: z.string(), reason: z.string().catch(''), message: z.string().catch('') }))
        .catch([]),
    })
    .optional(),
});

export interface EnrolmentOptions {
  readonly client: KubeClient;
  readonly nodeName: string;
  /** Folder of the node's keys. */
  readonly folder: string;
  readonly keyType: KeyType;
  readonly now: () => number;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
}

/**
 * Gets a certificate for a new key of this node by a CertificateSigningRequest (certificates.k8s.io/v1). The
 * key stays in the folder, so that after a restart the same request goes on. Key and certificate replace the
 * former ones once they are checked against `authorities` (PEM). Resolves to undefined if nobody has answered
 * yet. Throws PkiError if the request is refused, and KubeError.
 */
export async function enrol(
  options: EnrolmentOptions,
  authorities: string,
  signal: AbortSignal,
): Promise<NodeIdentity | undefined> {
  const { client, nodeName, folder, now, sleep } = options;
  const { pem, signer } = await nextKey(options);
  const name = `trapline-${nodeName}-${createHash('sha256').update(signer.publicKey).digest('hex').slice(0, 12)}`;
  await file(client, name, await createRequest(nodeName, signer));
  const deadline = now() + PATIENCE_MS;
  for (;;) {
    const status = await statusOf(client, name);
    const refusal = status?.conditions.find(({ type }) => type === 'Denied' || type === 'Failed');
    if (refusal !== undefined) {
      rmSync(join(folder, NEXT_KEY), { force: true });
      throw new PkiError(
        `CertificateSigningRequest ${name} ${refusal.type}: ${refusal.reason}: ${refusal.message}`,
      );
    }
    if (status?.certificate !== undefined) {
      const certificate = Buffer.from(status.certificate, 'base64').toString('utf8');
      const names = {
        authorities: 'the ConfigMap of CAs',
        certificate: name,
        privateKey: join(folder, NEXT_KEY),
      };
      const files = { authorities, certificate, privateKey: pem, names };
      const identity = await checkIdentity(files, nodeName, new Date(now())).catch((error: Error) => {
        rmSync(join(folder, NEXT_KEY), { force: true });
        throw error;
      });
      // The key is written first. A crash in between leaves a pair that does not fit, which is then replaced.
      writeFileAtomic(join(folder, NODE_KEY), pem);
      writeFileAtomic(join(folder, NODE_CERTIFICATE), certificate);
      rmSync(join(folder, NEXT_KEY), { force: true });
      return identity;
    }
    if (now() > deadline || signal.aborted) {
      return undefined;
    }
    await sleep(POLL_MS, signal);
  }
}

async function nextKey({ folder, keyType }: EnrolmentOptions): Promise<{ pem: string; signer: SigningKey }> {
  const path = join(folder, NEXT_KEY);
  if (existsSync(path)) {
    const pem = await readPem(path);
    const signer = await importPrivateKey(pem).catch(() => undefined);
    if (signer?.type === keyType) {
      return { pem, signer };
    }
  }
  const pem = `${await exportPrivateKey((await generateKeys(keyType)).privateKey)}\n`;
  writeFileAtomic(path, pem);
  return { pem, signer: await importPrivateKey(pem) };
}

async function file(client: KubeClient, name: string, request: string): Promise<void> {
  try {
    await client.request({
      method: 'POST',
      path: PATH,
      body: {
        apiVersion: 'certificates.k8s.io/v1',
        kind: 'CertificateSigningRequest',
        metadata: { name, labels: { 'app.kubernetes.io/name': 'trapline' } },
        spec: {
          signerName: SIGNER_NAME,
          request: Buffer.from(request).toString('base64'),
          usages: USAGES,
        },
      },
    });
  } catch (error) {
    // A request for this key exists already.
    if (!isConflict(error)) {
      throw error;
    }
  }
}

async function statusOf(client: KubeClient, name: string): Promise<z.infer<typeof requestSchema>['status']> {
  try {
    return requestSchema.parse(await client.request({ path: `${PATH}/${name}` })).status;
  } catch (error) {
    if (isNotFound(error)) {
      throw new PkiError(`CertificateSigningRequest ${name} was deleted before it was answered`);
    }
    throw error;
  }
}
