import { isDeepStrictEqual } from 'node:util';
import * as z from 'zod';
import { APPLY_PATCH, type KubeClient, MERGE_PATCH } from '../../kube/client.ts';
import { isNotFound } from '../../kube/error.ts';
import { anchorOf } from '../../pki/anchor.ts';
import { type Authority, createAuthority, type PemPair, parseAuthority } from '../../pki/authority.ts';
import { decodeCertificates, fingerprint } from '../../pki/certificate.ts';
import type { x509 } from '../../pki/crypto.ts';
import { PkiError } from '../../pki/error.ts';
import type { Bundle } from './bundle.ts';

export interface AuthorityOptions {
  readonly client: KubeClient;
  /** The namespace of the Secret and of the ConfigMap. */
  readonly namespace: string;
  /** Life of a CA that is made here. */
  readonly caDays: number;
  /** How long each step to another CA waits for nodes. */
  readonly caLimitMs: number;
  readonly now: () => number;
}

/** Secret of type kubernetes.io/tls. Roots are in its `ca.crt` if `tls.crt` does not lead to one. */
const SECRET = 'trapline-ca';
/**
 * Secret with a copy of the CA in force. While nodes come to trust another one, which is in `SECRET` by then,
 * this one goes on signing.
 */
const IN_FORCE = 'trapline-ca-in-force';
/**
 * Annotation of the Secret: SHA-256 of the CA if it was made here. Such a CA is replaced before it ends; a CA
 * that an operator put into the same Secret is not.
 */
const MADE = 'trapline.io/made';
/** Annotation of the Secret by which somebody asks for a new CA, whatever its value. */
const ROTATE = 'trapline.io/rotate';
const MANAGER = 'trapline-controller';
/** A CA that was made here is replaced in this last part of its life. */
const LAST_PART = 0.2;

const secretSchema = z.object({
  metadata: z.object({ annotations: z.record(z.string(), z.string()).default({}) }),
  data: z.object({ 'tls.crt': z.string(), 'tls.key': z.string(), 'ca.crt': z.string().default('') }),
});

type SecretData = z.infer<typeof secretSchema>['data'];

const text = (base64: string): string => Buffer.from(base64, 'base64').toString('utf8');

/** The former CA, which signs until the next one may. Undefined if there is no copy of it that can sign. */
export async function inForce(
  options: AuthorityOptions,
  { root, certificates }: Bundle,
): Promise<Authority | undefined> {
  const found = await getIfThere(options.client, secretPath(options, IN_FORCE));
  const parsed = secretSchema.safeParse(found);
  if (!parsed.success) {
    return undefined;
  }
  const authority = await authorityOf(parsed.data.data, new Date(options.now())).catch(() => undefined);
  const matches = authority !== undefined && fingerprint(await anchorOf(authority, certificates)) === root;
  return matches ? authority : undefined;
}

export async function keepInForce(options: AuthorityOptions, data: SecretData): Promise<void> {
  const { client, namespace } = options;
  const path = secretPath(options, IN_FORCE);
  const there = secretSchema.safeParse(await getIfThere(client, path));
  if (there.success && isDeepStrictEqual(there.data.data, data)) {
    return;
  }
  await apply(client, path, {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'kubernetes.io/tls',
    metadata: { name: IN_FORCE, namespace },
    data,
  });
}

interface Current {
  readonly authority: Authority;
  /** Undefined if it is the copy of the one in force. */
  readonly data: SecretData | undefined;
  readonly problem: string;
}

/** The CA that is wanted. Another one is made only if the one before is kept (`keepInForce`). */
export async function currentAuthority(
  options: AuthorityOptions,
  before: Bundle | undefined,
): Promise<Current> {
  const { client, namespace, caDays, now } = options;
  const found = await getIfThere(client, secretPath(options, SECRET));
  const life = { days: caDays, now: new Date(now()) };
  if (found === undefined) {
    return await putAuthority(options, await createAuthority(life));
  }
  const where = `Secret ${namespace}/${SECRET}`;
  const parsed = secretSchema.safeParse(found);
  if (!parsed.success) {
    throw new PkiError(`${where}: ${z.prettifyError(parsed.error)}`);
  }
  const { data, metadata } = parsed.data;
  const [own] = decodeCertificates(where, text(data['tls.crt']));
  const made = own !== undefined && metadata.annotations[MADE] === fingerprint(own);
  if (made && (metadata.annotations[ROTATE] !== undefined || isNearEnd(own, now()))) {
    if (before?.root === fingerprint(own)) {
      await keepInForce(options, data);
    }
    return await putAuthority(options, await createAuthority(life));
  }
  const authority = await authorityOf(data, life.now).catch((error: Error) => {
    throw new PkiError(`${where}: ${error.message}`);
  });
  return { authority, data, problem: '' };
}

async function authorityOf(data: SecretData, now: Date): Promise<Authority> {
  const pair = { certificate: text(data['tls.crt']), key: text(data['tls.key']) };
  return await parseAuthority(pair, text(data['ca.crt']), now);
}

function isNearEnd({ notBefore, notAfter }: x509.X509Certificate, now: number): boolean {
  return notAfter.getTime() - now < LAST_PART * (notAfter.getTime() - notBefore.getTime());
}

async function putAuthority(options: AuthorityOptions, pair: PemPair): Promise<Current> {
  const { client, namespace, now } = options;
  const encode = (pem: string): string => Buffer.from(pem).toString('base64');
  const path = secretPath(options, SECRET);
  const authority = await parseAuthority(pair, '', new Date(now()));
  const data = { 'tls.crt': encode(pair.certificate), 'tls.key': encode(pair.key) };
  await apply(client, path, {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'kubernetes.io/tls',
    metadata: { name: SECRET, namespace, annotations: { [MADE]: fingerprint(authority.certificate) } },
    data,
  });
  await client.request({
    method: 'PATCH',
    path,
    contentType: MERGE_PATCH,
    body: { metadata: { annotations: { [ROTATE]: null } } },
  });
  return { authority, data: { ...data, 'ca.crt': '' }, problem: '' };
}

function secretPath({ namespace }: AuthorityOptions, name: string): string {
  return `/api/v1/namespaces/${namespace}/secrets/${name}`;
}

export async function getIfThere(client: KubeClient, path: string): Promise<unknown> {
  return await client.request({ path }).catch((error) => {
    if (isNotFound(error)) {
      return undefined;
    }
    throw error;
  });
}

export async function apply(client: KubeClient, path: string, body: object): Promise<void> {
  const query = { fieldManager: MANAGER, force: 'true' };
  await client.request({ method: 'PATCH', path, query, contentType: APPLY_PATCH, body });
}
