import * as z from 'zod';
import { PHASES } from '../../ipsec/plan/phase.ts';
import { BOUNDS } from '../bounds.ts';
import type { Reached } from './phases.ts';

/** RFC 3339. Only its form is promised: who computes with it has to expect that it is no time. */
const time = z.string().meta({ format: 'date-time' });
const int64 = z.int().meta({ format: 'int64' });

/** A list of objects that the API server merges by one of their fields when it is applied. */
const listBy = <T extends z.ZodType>(key: string, element: T): z.ZodArray<T> =>
  z.array(element).meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': [key] });

/** An absent `phase` means that the node has not reached any (`Reached`): see `observedPolicyOf`. */
const observedPolicySchema = z.object({
  name: z.string(),
  uid: z.string(),
  generation: int64,
  phase: z.enum(PHASES).optional(),
});

const failureSchema = z.object({ peer: z.string(), reason: z.string() });

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

/** What a node works with: `root` and `trusted` are SHA-256 of CAs, hex. */
const certificateSchema = z.object({
  notBefore: time,
  notAfter: time,
  root: z.string(),
  trusted: z.array(z.string()),
});

const conditionSchema = z.object({
  type: z.string(),
  status: z.enum(['True', 'False', 'Unknown']),
  observedGeneration: int64.optional(),
  lastTransitionTime: time,
  reason: z.string(),
  message: z.string().max(32_768),
});

/**
 * `status` of an IPsecNode, whole, as an agent of this version writes it. The CRD has the same fields and
 * requires none of them at the top, since an agent of another version may write fewer.
 */
export const nodeStatusSchema = z.object({
  /** Ends of the node's tunnels, one per family. */
  addresses: z.array(z.string()),
  podCIDRs: z.array(z.string()),
  /** Addresses of its pods that lie in none of its pod CIDRs, sorted; absent if there are none. */
  addressesOutside: z.array(z.string()).max(BOUNDS.addressesOutside).optional(),
  /** Changes when the node boots. */
  bootID: z.string(),
  agentVersion: z.string(),
  /** The generation of each IPsecPolicy that the node enforces. */
  observedPolicies: listBy('name', observedPolicySchema),
  /** XFRM policies of ours in the kernel. */
  xfrmPolicies: z.int(),
  ikeSas: z.int(),
  childSas: z.int(),
  lastHeartbeat: time,
  /** Absent until the node has worked with one. */
  certificate: certificateSchema.partial().optional(),
  /** Peers with which the last negotiation failed. */
  failures: listBy('peer', failureSchema).max(50),
  /** What is not in force as written. */
  problems: z.array(z.string()).max(50),
  /** One, `Healthy`. */
  conditions: listBy('type', conditionSchema),
});

type DeepReadonly<T> = T extends object ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> } : T;

export type NodeStatus = DeepReadonly<z.infer<typeof nodeStatusSchema>>;
export type NodeCertificate = DeepReadonly<z.infer<typeof certificateSchema>>;

/** A generation of an IPsecPolicy that a node enforces, and how far it is with it. */
export interface ObservedPolicy {
  readonly name: string;
  readonly uid: string;
  readonly generation: number;
  readonly reached: Reached;
}

/** As it is written: a node that has reached no phase leaves `phase` out. */
export function writtenPolicyOf({
  reached,
  ...policy
}: ObservedPolicy): NodeStatus['observedPolicies'][number] {
  return reached === 'none' ? policy : { ...policy, phase: reached };
}

function observedPolicyOf({ phase, ...policy }: z.infer<typeof observedPolicySchema>): ObservedPolicy {
  return { ...policy, reached: phase ?? 'none' };
}

const { shape } = nodeStatusSchema;

/**
 * An IPsecNode as the controller reads it: the fields that it needs, each by itself, so that a bad one spoils
 * no other field and no other node. A bad value reads as if the field were absent or empty.
 */
export const ipsecNodeSchema = z.object({
  metadata: z.object({ name: z.string(), uid: z.string().catch('') }),
  status: z
    .object({
      observedPolicies: z
        .array(
          observedPolicySchema
            .extend({ phase: observedPolicySchema.shape.phase.catch(undefined) })
            .transform(observedPolicyOf),
        )
        .catch([]),
      lastHeartbeat: shape.lastHeartbeat.catch(''),
      certificate: z
        .object({
          notBefore: certificateSchema.shape.notBefore.catch(''),
          notAfter: certificateSchema.shape.notAfter.catch(''),
          root: sha256.catch(''),
          trusted: z.array(sha256).max(BOUNDS.trustedAuthorities).catch([]),
        })
        .optional()
        .catch(undefined),
      failures: shape.failures.catch([]),
      conditions: z
        .array(
          conditionSchema.pick({ type: true }).extend({
            status: conditionSchema.shape.status.catch('Unknown'),
            message: conditionSchema.shape.message.catch(''),
          }),
        )
        .catch([]),
    })
    .optional(),
});

export type IPsecNode = z.infer<typeof ipsecNodeSchema>;

/**
 * An IPsecNode as its own agent reads it after a restart: what outlives the agent. Fields that it does not
 * know stay.
 */
export const formerNodeSchema = z.object({
  metadata: z
    .object({ labels: z.record(z.string(), z.string()).optional() })
    .optional()
    .catch(undefined),
  status: z
    .object({
      conditions: z.array(conditionSchema.pick({ status: true, lastTransitionTime: true })).optional(),
      certificate: certificateSchema.partial().loose().optional(),
    })
    .optional(),
});
