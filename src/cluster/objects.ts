import * as z from 'zod';
import { POLICY_PHASES } from './contract/phases.ts';
import { IPSEC_POLICY } from './contract/resources.ts';

/**
 * The parts of Kubernetes objects that Trapline reads, for every source alike. Unknown keys are dropped:
 * these values are only read, never written back.
 */
const labels = z.record(z.string(), z.string());
const meta = z.object({
  name: z.string(),
  namespace: z.string().optional(),
  uid: z.string().optional(),
  labels: labels.optional(),
  annotations: labels.optional(),
  generation: z.number().optional(),
});

export const serviceSchema = z.object({
  kind: z.literal('Service'),
  metadata: meta,
  spec: z.object({
    selector: labels.nullish(),
    clusterIP: z.string().optional(),
    ipFamilies: z.array(z.enum(['IPv4', 'IPv6'])).nullish(),
    ports: z
      .array(
        z.object({
          name: z.string().optional(),
          protocol: z.string().optional(),
          port: z.number(),
          targetPort: z.union([z.number(), z.string()]).optional(),
        }),
      )
      .nullish(),
  }),
});

export const endpointSliceSchema = z.object({
  kind: z.literal('EndpointSlice'),
  metadata: meta,
  addressType: z.string(),
  endpoints: z
    .array(
      z.object({
        addresses: z.array(z.string()),
        nodeName: z.string().nullish(),
        targetRef: z
          .object({
            kind: z.string().optional(),
            name: z.string().optional(),
            namespace: z.string().optional(),
          })
          .nullish(),
      }),
    )
    .nullish(),
  ports: z
    .array(
      z.object({
        name: z.string().nullish(),
        protocol: z.string().nullish(),
        port: z.number().nullish(),
      }),
    )
    .nullish(),
});

export const nodeSchema = z.object({
  kind: z.literal('Node'),
  metadata: meta,
  spec: z.object({ podCIDR: z.string().optional(), podCIDRs: z.array(z.string()).optional() }).optional(),
  status: z
    .object({
      addresses: z.array(z.object({ type: z.string(), address: z.string() })).optional(),
      nodeInfo: z.object({ bootID: z.string().optional() }).optional(),
    })
    .optional(),
});

const container = z.object({
  ports: z
    .array(
      z.object({ name: z.string().optional(), containerPort: z.number(), protocol: z.string().optional() }),
    )
    .nullish(),
});

export const podSchema = z.object({
  kind: z.literal('Pod'),
  metadata: meta,
  spec: z.object({
    nodeName: z.string().optional(),
    hostNetwork: z.boolean().optional(),
    containers: z.array(container).optional(),
    initContainers: z.array(container.extend({ restartPolicy: z.string().optional() })).optional(),
  }),
  status: z
    .object({
      phase: z.string().optional(),
      podIP: z.string().optional(),
      podIPs: z.array(z.object({ ip: z.string().optional() })).optional(),
    })
    .optional(),
});

/** starlingx.io/v1, cluster-scoped. The items are checked one by one by the model, so that one bad item spoils nothing else. */
export const ipsecPolicySchema = z.object({
  apiVersion: z.literal(IPSEC_POLICY.apiVersion),
  kind: z.literal(IPSEC_POLICY.kind),
  metadata: meta,
  spec: z.object({ policies: z.array(z.unknown()).optional() }).optional(),
  status: z
    .object({
      observedGeneration: z.number().optional(),
      phase: z.enum(POLICY_PHASES).optional().catch(undefined),
    })
    .optional()
    .catch(undefined),
});

/** Calico's IPAM: a block of addresses that belongs to a node (crd.projectcalico.org/v1). */
export const blockAffinitySchema = z.object({
  kind: z.literal('BlockAffinity'),
  metadata: meta,
  spec: z.object({
    node: z.string(),
    cidr: z.string(),
    state: z.string().optional(),
    // Calico writes it as text.
    deleted: z.union([z.string(), z.boolean()]).optional(),
  }),
});

/** Cilium's IPAM in mode cluster-pool or kubernetes (cilium.io/v2). It has the name of its node. */
export const ciliumNodeSchema = z.object({
  kind: z.literal('CiliumNode'),
  metadata: meta,
  spec: z.object({ ipam: z.object({ podCIDRs: z.array(z.string()).optional() }).optional() }).optional(),
});

export type BlockAffinity = z.infer<typeof blockAffinitySchema>;
export type CiliumNode = z.infer<typeof ciliumNodeSchema>;
export type Service = z.infer<typeof serviceSchema>;
export type EndpointSlice = z.infer<typeof endpointSliceSchema>;
export type Node = z.infer<typeof nodeSchema>;
export type Pod = z.infer<typeof podSchema>;
export type IPsecPolicy = z.infer<typeof ipsecPolicySchema>;

/** One consistent view of the cluster; sources hand over a new value per burst of events. */
export interface ClusterObjects {
  readonly services: readonly Service[];
  readonly endpointSlices: readonly EndpointSlice[];
  readonly nodes: readonly Node[];
  readonly pods: readonly Pod[];
  readonly policies: readonly IPsecPolicy[];
  /** Where the primary CNI keeps the pod CIDRs of nodes, if it is one that does. */
  readonly blockAffinities?: readonly BlockAffinity[];
  readonly ciliumNodes?: readonly CiliumNode[];
}

/** A problem with one object: what a user has to know to mend it. */
export interface ObjectProblem {
  /** File (directory source) or `kind namespace/name`. */
  readonly where: string;
  /** Names the field and the value. */
  readonly message: string;
}

export interface Snapshot {
  readonly objects: ClusterObjects;
  readonly problems: readonly ObjectProblem[];
  /** Empty if this is how the cluster is; otherwise why it is how it was. What is in force stays in force. */
  readonly stale: string;
}

/** Where cluster state comes from. */
export interface Source {
  /**
   * Yields the current state, then a new state after every burst of changes, until the signal aborts.
   * A folder that cannot be read throws on start; later a source goes on with what it last knew and says so in
   * `problems` or `stale`.
   */
  watch(signal: AbortSignal): AsyncIterable<Snapshot>;
}
