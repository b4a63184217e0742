import * as z from 'zod';

// The fields that several kinds of objects have, checked where they come in: numbers, names and metadata. Of
// labels and annotations, which may have any size, only those are kept that somebody reads.

/**
 * Annotations of a Node that take the place of what the cluster says; several values stand between commas.
 */
export const POD_CIDRS_ANNOTATION = 'trapline.io/pod-cidrs';
export const ADDRESSES_ANNOTATION = 'trapline.io/addresses';

/** Label of an EndpointSlice: the name of its Service, in the same namespace. */
export const SERVICE_NAME_LABEL = 'kubernetes.io/service-name';
/** Label of an EndpointSlice: who writes it. */
export const MANAGED_BY_LABEL = 'endpointslice.kubernetes.io/managed-by';

/**
 * Annotations of a mirror pod, which stands for a static pod: that it is one, and the manifest's hash.
 */
export const MIRROR_ANNOTATION = 'kubernetes.io/config.mirror';
export const MIRROR_HASH_ANNOTATION = 'kubernetes.io/config.hash';

export const portNumber = z.number().int().min(1).max(65535);

/** Kubernetes writes them in capitals; manifests may do otherwise. */
export const protocolName = z.string().refine((name) => /^(tcp|udp|sctp)$/i.test(name), {
  error: 'is not TCP, UDP or SCTP',
});

/** A name of something in an object: no name in Kubernetes is longer. */
export const shortText = z.string().max(253);

export const textByKey = z.record(z.string(), z.string());

/** Nothing that would break a line of a log or a path of the API. Kubernetes itself allows less. */
const objectName = z.string().refine((name) => /^[^\s/\p{C}]{1,253}$/u.test(name), {
  error: 'is no name: 1 to 253 characters, without blanks, control characters and "/"',
});

/** What every kind has. A generation or a time that is malformed reads as if there were none. */
export const metadata = z.object({
  name: objectName,
  namespace: objectName.optional(),
  uid: z.string().optional(),
  generation: z.number().int().nonnegative().optional().catch(undefined),
  /** RFC 3339, as the API server wrote it. Nobody has checked that it is a time. */
  creationTimestamp: z.string().max(64).optional().catch(undefined),
});

export const sliceMetadata = metadata.extend({
  labels: z
    .object({ [SERVICE_NAME_LABEL]: z.string().optional(), [MANAGED_BY_LABEL]: z.string().optional() })
    .optional(),
});

export const nodeMetadata = metadata.extend({
  annotations: z
    .object({ [POD_CIDRS_ANNOTATION]: z.string().optional(), [ADDRESSES_ANNOTATION]: z.string().optional() })
    .optional(),
});

export const podMetadata = metadata.extend({
  labels: textByKey.optional(),
  annotations: z
    .object({ [MIRROR_ANNOTATION]: z.string().optional(), [MIRROR_HASH_ANNOTATION]: z.string().optional() })
    .optional(),
});
