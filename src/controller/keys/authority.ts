import * as z from 'zod';
import { CA_CONFIG_MAP, caConfigMapSchema } from '../../cluster/contract/ca-config-map.ts';
import { SILENT_MS } from '../../cluster/contract/heartbeat.ts';
import { anchorOf } from '../../pki/anchor.ts';
import type { Authority } from '../../pki/authority.ts';
import { decodeCertificates, fingerprint } from '../../pki/certificate.ts';
import { PkiError } from '../../pki/error.ts';
import { type Change, type NodeTrust, nextBundle } from './bundle.ts';
import {
  type AuthorityOptions,
  apply,
  currentAuthority,
  getIfThere,
  inForce,
  keepInForce,
} from './secrets.ts';
import { parseStep, type StepCounter, writeStep } from './step.ts';

/** Annotation of the ConfigMap: the step that is under way, and what it has waited. */
const STEP = 'trapline.io/step';
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
  steps: StepCounter,
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
    { before, step: steps.count(parseStep(formerStep)), wanted, nodes },
    { limitMs: options.caLimitMs, silentMs: SILENT_MS },
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
