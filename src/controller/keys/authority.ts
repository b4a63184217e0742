import { isDeepStrictEqual } from 'node:util';
import * as z from 'zod';
import { CA_CONFIG_MAP, caConfigMapSchema } from '../../cluster/contract/ca-config-map.ts';
import { SILENT_MS } from '../../cluster/contract/heartbeat.ts';
import { APPLY_PATCH, type KubeClient, MERGE_PATCH } from '../../kube/client.ts';
import { isNotFound } from '../../kube/error.ts';
import { anchorOf } from '../../pki/anchor.ts';
import { type Authority, createAuthority, type PemPair, parseAuthority } from '../../pki/authority.ts';
import { decodeCertificates, fingerprint } from '../../pki/certificate.ts';
import type { x509 } from '../../pki/crypto.ts';
import { PkiError } from '../../pki/error.ts';
import { type Bundle, type Change, type NodeTrust, nextBundle } from './bundle.ts';
import { parseStep, writeStep } from './step.ts';

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
 * Annotation of the ConfigMap: the step that is under way, and since when, so that another leader goes on
 * with it.
 */
const STEP = 'trapline.io/step';
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

const told = caConfigMapSchema.extend({
  metadata: z.object({ annotations: z.record(z.string(), z.string()).catch({}) }),
});

/** The CA with which the controller signs, and what nodes are told. */
export interface Authorities extends Change {
  /** Undefined if the CA in force is not at hand: nothing is signed until nodes trust the next one. */
  readonly authority: Authority | undefined;
  /** Why the Secret's CA cannot be taken, so that the one in force goes on; empty if it can. */
  readonly problem: string;
}

/**
 * Reads the CA of the cluster, or makes one; makes another when one is asked for or due; and tells the nodes
 * whom to trust. That is both CAs, from the moment when there is a new one until every node has a certificate
 * of it. The CA in force signs all the while. Throws KubeError, PkiError.
 */
export async function keepAuthority(
  options: AuthorityOptions,
  nodes: readonly NodeTrust[],
): Promise<Authorities> {
  const { client, namespace, now } = options;
  const path = `/api/v1/namespaces/${namespace}/configmaps/${CA_CONFIG_MAP}`;
  const raw = await getIfThere(client, path);
  const former = raw === undefined ? undefined : told.parse(raw);
  const before =
    former === undefined
      ? undefined
      : {
          root: former.data.root,
          certificates: decodeCertificates(CA_CONFIG_MAP, former.data['ca.crt']).filter(
            ({ notAfter }) => notAfter.getTime() > now(),
          ),
        };
  const current = await currentAuthority(options, before).catch(async (error: Error) => {
    // What an operator broke must not stop the signing: the CA in force is still the one in force.
    const authority = error instanceof PkiError && before ? await inForce(options, before) : undefined;
    if (authority === undefined) {
      throw error;
    }
    return { authority, data: undefined, problem: error.message };
  });
  const known = before?.certificates ?? [];
  const wanted = await anchorOf(current.authority, known);
  const formerStep = former?.metadata.annotations[STEP] ?? '';
  const next = nextBundle(
    { before, step: parseStep(formerStep), wanted, nodes },
    { now: now(), limitMs: options.caLimitMs, silentMs: SILENT_MS },
  );
  const pem = next.bundle.certificates.map((one) => `${one.toString('pem')}\n`).join('');
  const step = writeStep(next.step);
  if (former?.data['ca.crt'] !== pem || former.data.root !== next.bundle.root || formerStep !== step) {
    await apply(client, path, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: CA_CONFIG_MAP, namespace, ...(step === '' ? {} : { annotations: { [STEP]: step } }) },
      data: { 'ca.crt': pem, root: next.bundle.root },
    });
  }
  if (next.bundle.root !== fingerprint(wanted)) {
    return { ...next, authority: await inForce(options, next.bundle), problem: '' };
  }
  if (current.data !== undefined) {
    await keepInForce(options, current.data);
  }
  return { ...next, authority: current.authority, problem: current.problem };
}

/** The former CA, which signs until the next one may. Undefined if there is no copy of it that can sign. */
async function inForce(
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

async function keepInForce(options: AuthorityOptions, data: SecretData): Promise<void> {
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
async function currentAuthority(options: AuthorityOptions, before: Bundle | undefined): Promise<Current> {
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
