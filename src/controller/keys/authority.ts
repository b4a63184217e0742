import * as z from 'zod';
import { CA_CONFIG_MAP, caConfigMapSchema } from '../../cluster/contract/ca-config-map.ts';
import { APPLY_PATCH, type KubeClient, MERGE_PATCH } from '../../kube/client.ts';
import { isNotFound } from '../../kube/error.ts';
import { type Authority, createAuthority, type PemPair, parseAuthority } from '../../pki/authority.ts';
import { decodeCertificates, fingerprint } from '../../pki/certificate.ts';
import type { x509 } from '../../pki/crypto.ts';
import { PkiError } from '../../pki/error.ts';
import { type Bundle, type NodeTrust, nextBundle } from './bundle.ts';

export interface AuthorityOptions {
  readonly client: KubeClient;
  /** The namespace of the Secret and of the ConfigMap. */
  readonly namespace: string;
  /** Life of a CA that is made here. */
  readonly caDays: number;
  readonly now: () => number;
}

/** Secret of type kubernetes.io/tls. Roots are in its `ca.crt` if `tls.crt` does not lead to one. */
const SECRET = 'trapline-ca';
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

const text = (base64: string): string => Buffer.from(base64, 'base64').toString('utf8');

/** The CA with which the controller signs, and what nodes are told. */
export interface Authorities {
  readonly authority: Authority;
  readonly bundle: Bundle;
  /** Nodes that do not trust the CA yet: nothing is signed until they do. */
  readonly waitingFor: readonly string[];
}

/**
 * Reads the CA of the cluster, or makes one; makes another when one is asked for or due; and tells the nodes
 * whom to trust. That is both CAs, from the moment when there is a new one until every node has a certificate
 * of it. Throws KubeError, PkiError.
 */
export async function keepAuthority(
  options: AuthorityOptions,
  nodes: readonly NodeTrust[],
): Promise<Authorities> {
  const { client, namespace, now } = options;
  const authority = await currentAuthority(options);
  const path = `/api/v1/namespaces/${namespace}/configmaps/${CA_CONFIG_MAP}`;
  const before = await getIfThere(client, path);
  const told = before === undefined ? undefined : caConfigMapSchema.parse(before).data;
  const next = nextBundle(
    told === undefined
      ? undefined
      : {
          root: told.root,
          certificates: decodeCertificates(CA_CONFIG_MAP, told['ca.crt']).filter(
            ({ notAfter }) => notAfter.getTime() > now(),
          ),
        },
    authority.root,
    nodes,
  );
  const pem = next.bundle.certificates.map((one) => `${one.toString('pem')}\n`).join('');
  if (told?.['ca.crt'] !== pem || told.root !== next.bundle.root) {
    await apply(client, path, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: CA_CONFIG_MAP, namespace },
      data: { 'ca.crt': pem, root: next.bundle.root },
    });
  }
  return { authority, ...next };
}

async function currentAuthority(options: AuthorityOptions): Promise<Authority> {
  const { client, namespace, caDays, now } = options;
  const path = `/api/v1/namespaces/${namespace}/secrets/${SECRET}`;
  const found = await getIfThere(client, path);
  const life = { days: caDays, now: new Date(now()) };
  if (found === undefined) {
    return await putAuthority(options, await createAuthority(life));
  }
  const parsed = secretSchema.safeParse(found);
  if (!parsed.success) {
    throw new PkiError(`Secret ${namespace}/${SECRET}: ${z.prettifyError(parsed.error)}`);
  }
  const { data, metadata } = parsed.data;
  const where = `Secret ${namespace}/${SECRET}`;
  const pair = { certificate: text(data['tls.crt']), key: text(data['tls.key']) };
  const [own] = decodeCertificates(where, pair.certificate);
  const made = own !== undefined && metadata.annotations[MADE] === fingerprint(own);
  if (made && (metadata.annotations[ROTATE] !== undefined || isNearEnd(own, now()))) {
    return await putAuthority(options, await createAuthority(life));
  }
  return await parseAuthority(pair, text(data['ca.crt']), life.now).catch((error: Error) => {
    throw new PkiError(`${where}: ${error.message}`);
  });
}

function isNearEnd({ notBefore, notAfter }: x509.X509Certificate, now: number): boolean {
  return notAfter.getTime() - now < LAST_PART * (notAfter.getTime() - notBefore.getTime());
}

async function putAuthority({ client, namespace, now }: AuthorityOptions, pair: PemPair): Promise<Authority> {
  const encode = (pem: string): string => Buffer.from(pem).toString('base64');
  const path = `/api/v1/namespaces/${namespace}/secrets/${SECRET}`;
  const authority = await parseAuthority(pair, '', new Date(now()));
  await apply(client, path, {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'kubernetes.io/tls',
    metadata: { name: SECRET, namespace, annotations: { [MADE]: fingerprint(authority.certificate) } },
    data: { 'tls.crt': encode(pair.certificate), 'tls.key': encode(pair.key) },
  });
  await client.request({
    method: 'PATCH',
    path,
    contentType: MERGE_PATCH,
    body: { metadata: { annotations: { [ROTATE]: null } } },
  });
  return authority;
}

async function getIfThere(client: KubeClient, path: string): Promise<unknown> {
  return await client.request({ path }).catch((error) => {
    if (isNotFound(error)) {
      return undefined;
    }
    throw error;
  });
}

async function apply(client: KubeClient, path: string, body: object): Promise<void> {
  const query = { fieldManager: MANAGER, force: 'true' };
  await client.request({ method: 'PATCH', path, query, contentType: APPLY_PATCH, body });
}
