import * as z from 'zod';

/**
 * The ConfigMap by which the controller tells nodes which CAs to trust, and which one their certificates
 * should lead to.
 */
export const CA_CONFIG_MAP = 'trapline-ca';

export const caConfigMapSchema = z.object({
  data: z.object({
    /** PEM, one or more. */
    'ca.crt': z.string(),
    /** SHA-256 of the root that a node's certificate should lead to, hex. */
    root: z.string().regex(/^[0-9a-f]{64}$/),
  }),
});
