import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import * as z from 'zod';
import { CA_CONFIG_MAP, caConfigMapSchema } from '../../cluster/contract/ca-config-map.ts';
import { createReflector } from '../../kube/reflector.ts';
import { CA_CERTIFICATE, readPem } from '../../pki/ca.ts';
import { decodeCertificates } from '../../pki/certificate.ts';
import { PkiError } from '../../pki/error.ts';
import type { NodeIdentity } from '../../pki/identity.ts';
import { rotationPath } from '../../rundir/paths.ts';
import { writeFileAtomic } from '../../rundir/write.ts';
import { createWake } from '../../util/wake.ts';
import { renewalAt } from './due.ts';
import { type EnrolmentOptions, enrol } from './enrolment.ts';
import { type Keys, sameIdentity } from './keys.ts';
import { identityReader } from './reader.ts';

export interface RequestedKeysOptions extends EnrolmentOptions {
  /** Namespace of the ConfigMap of CAs. */
  readonly namespace: string;
  readonly runDir: string;
  /** Nodes follow a new CA within this time, each at another moment of it; milliseconds. */
  readonly spreadMs: number;
  readonly random: () => number;
  readonly log: Logger;
}

const LOOK_MS = 2_000;
const FIRST_RETRY_MS = 2_000;
const LAST_RETRY_MS = 120_000;

/**
 * A key that this node makes, and a certificate that the controller signs. The node asks for one before its
 * first session with charon, after two thirds of the certificate's life, when the controller has another CA,
 * and when somebody asks for it (`traplinectl rotate`).
 */
export function requestedKeys(options: RequestedKeysOptions): Keys {
  const { client, nodeName, namespace, folder, runDir, spreadMs, now, random, log } = options;
  const wake = createWake();
  const bundles = createReflector({
    client,
    path: `/api/v1/namespaces/${namespace}/configmaps`,
    query: { fieldSelector: `metadata.name=${CA_CONFIG_MAP}` },
    parse: (raw) => {
      const parsed = caConfigMapSchema.safeParse(raw);
      return parsed.success
        ? parsed.data.data
        : `ConfigMap ${namespace}/${CA_CONFIG_MAP}: ${z.prettifyError(parsed.error)}`;
    },
    onChange: wake.notify,
  });
  const chance = random();
  let problem = 'no certificate yet';
  let asking = false;
  let retryAt = 0;
  let retry = FIRST_RETRY_MS;
  /** When the certificate of another CA is due, by the fingerprint of that CA's root. */
  const follow = new Map<string, number>();

  const read = identityReader(folder, nodeName, now);
  const identity = async (): Promise<NodeIdentity> => {
    try {
      return await read();
    } catch (error) {
      throw new PkiError(`${problem} (${(error as Error).message})`);
    }
  };

  /** Why the certificate is to be renewed; empty if it is not. */
  const reason = (current: NodeIdentity | undefined, root: string): string => {
    if (current === undefined) {
      return 'there is none';
    }
    if (existsSync(rotationPath(runDir))) {
      return 'asked for';
    }
    if (now() >= renewalAt(current, chance)) {
      return 'its time has come';
    }
    if (current.root === root) {
      return '';
    }
    const due = follow.get(root) ?? now() + spreadMs * random();
    follow.set(root, due);
    return now() >= due ? 'another CA signs now' : '';
  };

  const step = async (signal: AbortSignal): Promise<void> => {
    const [bundle] = bundles.items.values();
    if (bundle === undefined) {
      const [unread] = bundles.problems.values();
      problem =
        bundles.error ||
        unread ||
        `ConfigMap ${namespace}/${CA_CONFIG_MAP} is not there: does the controller run?`;
      return;
    }
    const path = join(folder, CA_CERTIFICATE);
    if ((await readPem(path).catch(() => '')) !== bundle['ca.crt']) {
      decodeCertificates(`ConfigMap ${namespace}/${CA_CONFIG_MAP}`, bundle['ca.crt']);
      writeFileAtomic(path, bundle['ca.crt']);
    }
    const current = await identity().catch(() => undefined);
    const why = reason(current, bundle.root);
    if (why === '' || now() < retryAt) {
      return;
    }
    if (!asking) {
      log.info({ reason: why }, 'asking for a certificate');
      asking = true;
    }
    problem = 'a certificate is asked for and nobody has answered: does the controller run?';
    const fresh = await enrol(options, bundle['ca.crt'], signal);
    if (fresh !== undefined) {
      asking = false;
      retry = FIRST_RETRY_MS;
      rmSync(rotationPath(runDir), { force: true });
      log.info({ notAfter: fresh.notAfter }, 'certificate received');
    }
  };

  return {
    identity,
    async run(onChange, signal) {
      const following = bundles.run(signal);
      let taken: NodeIdentity | undefined;
      while (!signal.aborted) {
        try {
          await step(signal);
        } catch (error) {
          problem = (error as Error).message;
          log.warn({ problem }, 'no new certificate');
          retryAt = now() + retry * (0.5 + random());
          retry = Math.min(2 * retry, LAST_RETRY_MS);
        }
        const found = await identity().catch(() => undefined);
        if (found !== undefined && !sameIdentity(taken, found)) {
          taken = found;
          onChange(found);
        }
        await wake.wait(LOOK_MS, signal);
      }
      await following;
    },
  };
}
