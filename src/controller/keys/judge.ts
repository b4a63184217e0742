import * as z from 'zod';
import { DAY_MS, weakness, x509 } from '../../pki/crypto.ts';
import { USAGES } from '../../pki/request.ts';

/** A CertificateSigningRequest of certificates.k8s.io/v1, as far as a signer needs it. */
export const signingRequestSchema = z.object({
  metadata: z.object({ name: z.string(), uid: z.string() }),
  spec: z.object({
    signerName: z.string(),
    /** PKCS #10, PEM in base64. */
    request: z.string(),
    usages: z.array(z.string()).default([]),
    expirationSeconds: z.number().optional(),
    /** The user who made the request, as the API server saw it; so is `extra`. */
    username: z.string().default(''),
    extra: z.record(z.string(), z.array(z.string())).default({}),
  }),
  status: z
    .object({
      certificate: z.string().optional(),
      conditions: z.array(z.looseObject({ type: z.string() })).catch([]),
    })
    .optional(),
});

export type SigningRequest = z.infer<typeof signingRequestSchema>;

/** Why a request is denied: the reason in its condition and in its Event. */
export type Denial =
  | 'WrongRequester'
  | 'TokenOfNoNode'
  | 'Malformed'
  | 'BadSignature'
  | 'WrongSubject'
  | 'WrongNode'
  | 'WrongNames'
  | 'AuthorityRequested'
  | 'UnexpectedExtension'
  | 'WeakKey'
  | 'WrongUsages'
  | 'LifeTooLong'
  | 'UnknownNode';

export type Verdict =
  | {
      readonly kind: 'sign';
      readonly node: string;
      readonly publicKey: x509.PublicKey;
      readonly days: number;
    }
  | { readonly kind: 'deny'; readonly reason: Denial; readonly message: string };

/** What a request is judged by. */
export interface Law {
  /** `system:serviceaccount:<namespace>:<name>` */
  readonly agent: string;
  readonly nodes: ReadonlySet<string>;
  /** Longest life of a certificate, and the life of a certificate for which none is asked. */
  readonly days: number;
}

/** Tokens that are bound to a pod name the node of the pod here (KEP-4193). */
export const NODE_NAME = 'authentication.kubernetes.io/node-name';
const SUBJECT_ALTERNATIVE_NAME = '2.5.29.17';
const BASIC_CONSTRAINTS = '2.5.29.19';

const deny = (reason: Denial, message: string): Verdict => ({ kind: 'deny', reason, message });

/**
 * Whether a request may be signed: it has to come from the agent's ServiceAccount, with a token that is bound
 * to a pod on the very node that the certificate is for, and ask for nothing but that node's IKE identity.
 */
export async function judge({ spec }: Pick<SigningRequest, 'spec'>, law: Law): Promise<Verdict> {
  if (spec.username !== law.agent) {
    return deny('WrongRequester', `${spec.username} is not ${law.agent}`);
  }
  const [node, ...more] = spec.extra[NODE_NAME] ?? [];
  if (node === undefined || more.length > 0) {
    return deny('TokenOfNoNode', `the requester's token is bound to no pod on a node (${NODE_NAME})`);
  }
  if (!law.nodes.has(node)) {
    return deny('UnknownNode', `there is no Node ${node}`);
  }
  const request = parse(spec.request);
  if (request === undefined) {
    return deny('Malformed', 'spec.request: not a PKCS #10 request in PEM');
  }
  return (await unfit(request, node)) ?? unfitSpec(spec, law) ?? granted(request, node, { spec, law });
}

function parse(request: string): x509.Pkcs10CertificateRequest | undefined {
  try {
    return new x509.Pkcs10CertificateRequest(Buffer.from(request, 'base64').toString('utf8'));
  } catch {
    return undefined;
  }
}

/** Why the PKCS #10 request may not be signed, if so. */
async function unfit(request: x509.Pkcs10CertificateRequest, node: string): Promise<Verdict | undefined> {
  const name = `ipsec-${node}`;
  const [, subject] = /^CN=ipsec-([^,+]+)$/.exec(request.subject) ?? [];
  if (subject === undefined) {
    return deny('WrongSubject', `subject ${JSON.stringify(request.subject)} is not CN=${name}`);
  }
  if (subject !== node) {
    return deny('WrongNode', `node ${node} asks for the certificate of ${subject}`);
  }
  if (request.extensions.some((one) => one instanceof x509.BasicConstraintsExtension && one.ca)) {
    return deny('AuthorityRequested', 'basic constraints with CA:TRUE');
  }
  const others = request.extensions.filter(
    ({ type }) => type !== SUBJECT_ALTERNATIVE_NAME && type !== BASIC_CONSTRAINTS,
  );
  if (others.length > 0) {
    return deny('UnexpectedExtension', `extension ${others.map(({ type }) => type).join(', ')}`);
  }
  const names = request.extensions
    .filter((extension) => extension instanceof x509.SubjectAlternativeNameExtension)
    .flatMap((extension) => extension.names.toJSON());
  if (names.some(({ type, value }) => type !== 'dns' || value !== name) || names.length !== 1) {
    return deny(
      'WrongNames',
      `alternative names ${names.map(({ value }) => value).join(', ')}; only ${name} may be`,
    );
  }
  const weak = weaknessOf(request.publicKey.rawData);
  if (weak !== '') {
    return deny('WeakKey', weak);
  }
  const signed = await request.verify().catch(() => false);
  return signed ? undefined : deny('BadSignature', 'the request is not signed with the key that it is for');
}

function weaknessOf(publicKey: ArrayBuffer): string {
  try {
    return weakness(publicKey);
  } catch (error) {
    return (error as Error).message;
  }
}

/** Why the usages, or the life, that are asked for beside it may not be granted, if so. */
function unfitSpec({ usages, expirationSeconds = 0 }: SigningRequest['spec'], law: Law): Verdict | undefined {
  if ([...usages].sort().join() !== [...USAGES].sort().join()) {
    return deny('WrongUsages', `usages ${usages.join(', ')}; they must be ${USAGES.join(', ')}`);
  }
  if (expirationSeconds * 1_000 > law.days * DAY_MS) {
    return deny('LifeTooLong', `expirationSeconds ${expirationSeconds}; ${law.days} days at most`);
  }
  return undefined;
}

function granted(
  { publicKey }: x509.Pkcs10CertificateRequest,
  node: string,
  { spec, law }: { readonly spec: SigningRequest['spec']; readonly law: Law },
): Verdict {
  const days = spec.expirationSeconds === undefined ? law.days : (spec.expirationSeconds * 1_000) / DAY_MS;
  return { kind: 'sign', node, publicKey, days };
}
