import * as z from 'zod';
import { nodeStatusSchema } from './node-status.ts';
import { IPSEC_NODE } from './resources.ts';

/**
 * An IPsecNode as the agents of other nodes read it: which addresses its own agent confirms to be pods of its
 * node. Heartbeats are left out, so that they change nothing. A bad status confirms nothing.
 */
export const confirmingNodeSchema = z.object({
  apiVersion: z.literal(IPSEC_NODE.apiVersion),
  kind: z.literal(IPSEC_NODE.kind),
  metadata: z.object({ name: z.string(), namespace: z.undefined().optional() }),
  status: nodeStatusSchema.pick({ addressesOutside: true }).optional().catch(undefined),
});

export type ConfirmingNode = z.infer<typeof confirmingNodeSchema>;
