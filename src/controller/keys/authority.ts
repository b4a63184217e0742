import * as z from 'zod';
import { APPLY_PATCH, type KubeClient, MERGE_PATCH } from '../../kube/client.ts';
import { isNotFound } from '../../kube/error.ts';
import { type Authority, createAuthority, type PemPair, parseAuthority } from '../../pki/authority.ts';
import { decodeCertificates } from '../../pki/crypto.ts';
import { PkiError } from '../../pki/error.ts';
import { CA_CONFIG_MAP, caConfigMapSchema } from '../../watcher/keys/requested.ts';
import { type Bundle, type NodeTrust, nextBundle } from './bundle.ts';

export interface AuthorityOptions {
  readonly client: KubeClient;
  /** Of the Secret and the ConfigMap. */
  readonly namespace: string;
  /** Life of a CA that we make. */
  readonly caDays: number;
  readonly now: () => number;
}

/** kubernetes.io/tls, with the roots in `ca.crt` if `tls.crt` does not lead to one. */
const SECRET = 'trapline-ca';
/** On a Secret that we made ourselves: such a CA is replaced before it ends. */
const MADE = 'trapline.io/made-by';
/** Anything here asks for a new CA. */
const ROTATE = 'trapline.io/rotate';
const MANAGER = 'trapline-controller';
/** Of its life, when a CA of ours is replaced. */
const LAST_PART = 0.2;

const secretSchema = z.object({
  metadata: z.object({ annotations: z.record(z.string(), z.string()).default({}) }),
  data: z.object({ 'tls.crt': z.string(), 'tls.key': z.string(), 'ca.crt': z.string().default('') }),
});

const text = (base64: string): string => Buffer.from(base64, 'base64').toString('utf8');

/** What the controller signs with, and what nodes are told. */
export interface Authorities {
  readonly authority: Authority;
  readonly bundle: Bundle;
  /** Nodes that do not trust the CA yet: nothing is signed until they do. */
  readonly waitingFor: readonly string[];
}

/**
 * Reads the CA of the cluster, or makes one; makes another if that is asked for or due; and tells the nodes whom to trust: both, from the
 * moment when there is another one until every node has a certificate of the new one. Throws KubeError, PkiError.
 */
export async function keepAuthority(
  options: AuthorityOptions,
  nodes: readonly NodeTrust[],
): Promise<Authorities> {
  const { client, namespace, now } = options;
  const authority = await currentAuthority(options);
  const path = `/api/v1/namespaces/${namespace}/configmaps/${CA_CONFIG_MAP}`;
  const before = await client.request({ path }).catch((error) => {
    if (isNotFound(error)) {
      return undefined;
    }
    throw error;
  });
  const known = before === undefined ? undefined : caConfigMapSchema.parse(before).data;
  const next = nextBundle(
    known === undefined
      ? undefined
      : {
          root: known.root,
          certificates: decodeCertificates(known['ca.crt']).filter(
            ({ notAfter }) => notAfter.getTime() > now(),
          ),
        },
    authority.root,
    nodes,
  );
  const pem = next.bundle.certificates.map((one) => `${one.toString('pem')}\n`).join('');
  if (known?.['ca.crt'] !== pem || known.root !== next.bundle.root) {
    await client.request({
      method: 'PATCH',
      path,
      query: { fieldManager: MANAGER, force: 'true' },
      contentType: APPLY_PATCH,
      body: {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: CA_CONFIG_MAP, namespace },
        data: { 'ca.crt': pem, root: next.bundle.root },
      },
    });
  }
  return { authority, ...next };
}

async function currentAuthority(options: AuthorityOptions): Promise<Authority> {
  const { client, namespace, caDays, now } = options;
  const path = `/api/v1/namespaces/${namespace}/secrets/${SECRET}`;
  const found = await client.request({ path }).catch((error) => {
    if (isNotFound(error)) {
      return undefined;
    }
    throw error;
  });
  const life = { days: caDays, now: new Date(now()) };
  if (found === undefined) {
    return await putAuthority(options, await createAuthority(life));
  }
  const parsed = secretSchema.safeParse(found);
  if (!parsed.success) {
    throw new PkiError(`Secret ${namespace}/${SECRET}: ${z.prettifyError(parsed.error)}`);
  }
  const { data, metadata } = parsed.data;
  const made = metadata.annotations[MADE] !== undefined;
  const pair = { certificate: text(data['tls.crt']), key: text(data['tls.key']) };
  if (metadata.annotations[ROTATE] !== undefined && made) {
    return await putAuthority(options, await createAuthority(life));
  }
  const authority = await parseAuthority(pair, text(data['ca.crt']), life.now).catch((error: Error) => {
    throw new PkiError(`Secret ${namespace}/${SECRET}: ${error.message}`);
  });
  const { notBefore, notAfter } = authority.certificate;
  const left = (notAfter.getTime() - now()) / (notAfter.getTime() - notBefore.getTime());
  return made && left < LAST_PART ? await putAuthority(options, await createAuthority(life)) : authority;
}

async function putAuthority({ client, namespace, now }: AuthorityOptions, pair: PemPair): Promise<Authority> {
  const encode = (pem: string): string => Buffer.from(pem).toString('base64');
  const path = `/api/v1/namespaces/${namespace}/secrets/${SECRET}`;
  await client.request({
    method: 'PATCH',
    path,
    query: { fieldManager: MANAGER, force: 'true' },
    contentType: APPLY_PATCH,
    body: {
      apiVersion: 'v1',
      kind: 'Secret',
      type: 'kubernetes.io/tls',
      metadata: { name: SECRET, namespace, annotations: { [MADE]: MANAGER } },
      data: { 'tls.crt': encode(pair.certificate), 'tls.key': encode(pair.key) },
    },
  });
  await client.request({
    method: 'PATCH',
    path,
    contentType: MERGE_PATCH,
    body: { metadata: { annotations: { [ROTATE]: null } } },
  });
  return await parseAuthority(pair, '', new Date(now()));
}
