/**
 * Reading the cluster: where its objects come from (`sources`), what policies mean (`policies`), which nodes
 * can have a tunnel (`nodes.ts`), and what agents and controller have agreed on (`contract`). Agent and
 * controller both use this room, so it imports neither of them. It may import `src/ip`, `src/kube`,
 * `src/util` and, of the plan and the cache, types and the order of phases. Only `sources` has effects: it
 * reads files or the API server, and writes nothing.
 */

import * as z from 'zod';
import { rememberedAddress } from '../ip/remembered.ts';
import { POLICY_PHASES } from './contract/phases.ts';
import { IPSEC_POLICY } from './contract/resources.ts';
import {
  MANAGED_BY_LABEL,
  metadata,
  nodeMetadata,
  podMetadata,
  portNumber,
  protocolName,
  SERVICE_NAME_LABEL,
  shortText,
  sliceMetadata,
  textByKey,
} from './fields.ts';

export { MANAGED_BY_LABEL, SERVICE_NAME_LABEL };

// The parts of Kubernetes objects that Trapline reads, the same for every source. Unknown keys are dropped:
// these values are only read, never written back.

export const serviceSchema = z.object({
  kind: z.literal('Service'),
  metadata,
  spec: z.object({
    selector: textByKey.nullish(),
    clusterIP: shortText.optional(),
    ipFamilies: z.array(z.enum(['IPv4', 'IPv6'])).nullish(),
    ports: z
      .array(
        z.object({
          name: shortText.optional(),
          protocol: protocolName.optional(),
          port: portNumber,
          /** 0 and an empty text mean the same as none: that of `port`. */
          targetPort: z.union([portNumber, z.literal(0), shortText]).optional(),
        }),
      )
      .nullish(),
  }),
});

/**
 * Value of the label MANAGED_BY_LABEL where Kubernetes makes the slice from the pods of a Service. An
 * admission policy guards it.
 */
export const SLICE_CONTROLLER = 'endpointslice-controller.k8s.io';

export const endpointSliceSchema = z.object({
  kind: z.literal('EndpointSlice'),
  metadata: sliceMetadata,
  addressType: shortText,
  endpoints: z
    .array(
      z.object({
        addresses: z.array(shortText),
        nodeName: shortText.nullish(),
        targetRef: z
          .object({
            kind: shortText.optional(),
            name: shortText.optional(),
            namespace: shortText.optional(),
          })
          .nullish(),
      }),
    )
    .nullish(),
  ports: z
    .array(
      z.object({
        name: shortText.nullish(),
        protocol: protocolName.nullish(),
        port: portNumber.nullish(),
      }),
    )
    .nullish(),
});

/** Only an InternalIP is read. */
const nodeAddress = z
  .object({ type: z.string(), address: z.string() })
  .refine(({ type, address }) => type !== 'InternalIP' || rememberedAddress(address) !== undefined, {
    error: 'is no address',
  });

export const nodeSchema = z.object({
  kind: z.literal('Node'),
  metadata: nodeMetadata,
  spec: z.object({ podCIDR: z.string().optional(), podCIDRs: z.array(z.string()).optional() }).optional(),
  status: z
    .object({
      addresses: z.array(nodeAddress).optional(),
      nodeInfo: z.object({ bootID: z.string().optional() }).optional(),
    })
    .optional(),
});

const container = z.object({
  ports: z
    .array(
      z.object({
        name: z.string().optional(),
        containerPort: portNumber,
        protocol: protocolName.optional(),
      }),
    )
    .nullish(),
});

export const podSchema = z.object({
  kind: z.literal('Pod'),
  metadata: podMetadata,
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

/**
 * Items are not checked here but one by one (`parseItems`), so that a bad item spoils no other. A bad status
 * reads as if there were none.
 */
export const ipsecPolicySchema = z.object({
  apiVersion: z.literal(IPSEC_POLICY.apiVersion),
  kind: z.literal(IPSEC_POLICY.kind),
  metadata,
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
  metadata,
  spec: z.object({
    node: z.string(),
    cidr: z.string(),
    state: z.string().optional(),
    // Calico writes a boolean as text.
    deleted: z.union([z.string(), z.boolean()]).optional(),
  }),
});

/** Cilium's IPAM in mode cluster-pool or kubernetes (cilium.io/v2). A CiliumNode has the name of its Node. */
export const ciliumNodeSchema = z.object({
  kind: z.literal('CiliumNode'),
  metadata,
  spec: z.object({ ipam: z.object({ podCIDRs: z.array(z.string()).optional() }).optional() }).optional(),
});

export type BlockAffinity = z.infer<typeof blockAffinitySchema>;
export type CiliumNode = z.infer<typeof ciliumNodeSchema>;
export type Service = z.infer<typeof serviceSchema>;
/** `cut`: it had more addresses than the bound, and has the first ones alone. */
export type EndpointSlice = z.infer<typeof endpointSliceSchema> & { readonly cut?: true };
export type Node = z.infer<typeof nodeSchema>;
export type Pod = z.infer<typeof podSchema>;
export type IPsecPolicy = z.infer<typeof ipsecPolicySchema>;
