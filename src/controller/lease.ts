import * as z from 'zod';
import type { KubeClient } from '../kube/client.ts';
import { isConflict, isNotFound } from '../kube/error.ts';

export interface LeaseOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  readonly name: string;
  /** Names this replica: the pod's name. */
  readonly identity: string;
  readonly now: () => number;
  /** Monotonic, milliseconds. */
  readonly clock: () => number;
}

/** A holder that has not renewed for this long has lost the Lease: then another may take it. */
const LEASE_SECONDS = 15;
export const RENEW_MS = 5_000;
/**
 * A holder that could not renew for this long stops working, before another may begin. Shorter than the
 * Lease.
 */
export const RENEW_DEADLINE_MS = 10_000;

const leaseSchema = z.object({
  metadata: z.object({ resourceVersion: z.string() }),
  spec: z
    .object({
      holderIdentity: z.string().nullish(),
      leaseTransitions: z.number().nullish(),
      acquireTime: z.string().nullish(),
      renewTime: z.string().nullish(),
    })
    .optional(),
});

type Lease = z.infer<typeof leaseSchema>;

/** Another's Lease as we last saw it change, and when by a clock of our own that nobody sets. */
interface Observed {
  readonly version: string;
  readonly at: number;
}

/** Chooses one of several replicas at a time, by a Lease (coordination.k8s.io/v1). */
export interface LeaderLease {
  /**
   * Takes or renews the Lease. False if another holds it. Throws KubeError if the API server gives no answer.
   */
  hold(): Promise<boolean>;
  /** Gives the Lease up if we hold it, so that another can take it at once. Throws KubeError. */
  release(): Promise<void>;
}

export function createLease({ client, namespace, name, identity, now, clock }: LeaseOptions): LeaderLease {
  const folder = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`;
  let observed: Observed | undefined;

  const get = async (): Promise<Lease | undefined> => {
    try {
      return leaseSchema.parse(await client.request({ path: `${folder}/${name}` }));
    } catch (error) {
      if (isNotFound(error)) {
        return undefined;
      }
      throw error;
    }
  };

  const write = async (lease: Lease | undefined, holder: string): Promise<boolean> => {
    const time = new Date(now()).toISOString().replace('Z', '000Z');
    const taken = lease?.spec?.holderIdentity !== identity;
    const body = {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: {
        name,
        namespace,
        ...(lease === undefined ? {} : { resourceVersion: lease.metadata.resourceVersion }),
      },
      spec: {
        holderIdentity: holder,
        leaseDurationSeconds: holder === '' ? 1 : LEASE_SECONDS,
        acquireTime: taken ? time : (lease?.spec?.acquireTime ?? time),
        renewTime: time,
        leaseTransitions:
          ((lease?.spec?.leaseTransitions ?? 0) + (taken && lease !== undefined ? 1 : 0)) % 2 ** 31,
      },
    };
    try {
      const path = lease === undefined ? folder : `${folder}/${name}`;
      await client.request({ method: lease === undefined ? 'POST' : 'PUT', path, body });
      return true;
    } catch (error) {
      if (isConflict(error)) {
        return false;
      }
      throw error;
    }
  };

  return {
    async hold() {
      const lease = await get();
      const holder = lease?.spec?.holderIdentity ?? '';
      if (lease !== undefined && holder !== '' && holder !== identity) {
        if (observed?.version !== lease.metadata.resourceVersion) {
          observed = { version: lease.metadata.resourceVersion, at: clock() };
        }
        if (clock() - observed.at < LEASE_SECONDS * 1_000) {
          return false;
        }
      }
      return await write(lease, identity);
    },
    async release() {
      const lease = await get();
      if (lease?.spec?.holderIdentity === identity) {
        await write(lease, '');
      }
    },
  };
}
