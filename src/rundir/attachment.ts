import * as z from 'zod';

const policySchema = z.object({
  dir: z.enum(['in', 'out', 'fwd']),
  selector: z.object({
    src: z.string(),
    dst: z.string(),
    proto: z.enum(['tcp', 'udp', 'sctp', 'any', 'icmp', 'icmpv6']),
    sport: z.number(),
    dport: z.number(),
  }),
  priority: z.number(),
  template: z.object({
    src: z.string(),
    dst: z.string(),
    reqid: z.number(),
    level: z.enum(['required', 'use']),
  }),
});

/**
 * The attachment record, `<runDir>/attachments/<containerID>-<ifname>.json`: what ADD did for one attachment.
 * DEL, CHECK and GC work from it, without API server and without cache. The agent plans the attachment again
 * from it, and keeps `policies` current when it changes what is in the kernel for the attachment.
 */
export const attachmentSchema = z.object({
  schema: z.literal(1),
  containerId: z.string().min(1),
  ifName: z.string().min(1),
  netns: z.string(),
  /** Network name of the CNI configuration: GC removes only attachments of its own network. */
  network: z.string(),
  /** Null if the runtime gave no K8S_POD_NAME: the attachment is then never protected. */
  pod: z.object({ namespace: z.string(), name: z.string(), uid: z.string() }).nullable(),
  /** Pod addresses without prefix length, canonical. */
  addresses: z.array(z.string()),
  /**
   * Milliseconds since the epoch. Of two records with one address, the later one holds it: the DEL of the
   * earlier one did not come.
   */
  createdAt: z.number(),
  /** The policies laid for these addresses. */
  policies: z.array(policySchema),
});

export type Attachment = z.infer<typeof attachmentSchema>;
