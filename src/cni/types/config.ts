import * as z from 'zod';
import { resultSchema } from './result.ts';

/** An attachment as GC lists it (CNI SPEC 1.1.0 GC). */
export const validAttachmentSchema = z.object({ containerID: z.string(), ifname: z.string() });

/**
 * The configuration that a plugin gets on stdin (CNI SPEC 1.1.0, section 3, Deriving plugin configuration).
 * Plugins extend it with their own keys. Keys of the runtime (`runtimeConfig`, `args`, `cni.dev/*`) stay in
 * untouched. A runtime in Go may write null for an absent value.
 */
export const pluginConfigSchema = z.looseObject({
  cniVersion: z.string().optional(),
  name: z.string().optional(),
  type: z.string().optional(),
  prevResult: resultSchema.nullish(),
  'cni.dev/valid-attachments': z.array(validAttachmentSchema).nullish(),
});

export type PluginConfig = z.infer<typeof pluginConfigSchema>;
export type ValidAttachment = z.infer<typeof validAttachmentSchema>;
