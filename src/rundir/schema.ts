import * as z from 'zod';

/** Raised with every change of shape that an older plugin or agent could misread. */
export const CACHE_SCHEMA = 1;

const protocol = z.enum(['tcp', 'udp', 'sctp', 'any']);
const port = z.number().int().min(0).max(65535);
const reqid = z.number().int().min(1).max(0xffffffff);

/** How far the enabling of a port is; absent: it is required. */
const phase = z.enum(['accept', 'send', 'require']).optional();

/** The port of a protected address, and the child that carries it. Port 0: every port of the protocol. */
const protectedPort = z.object({ proto: protocol, port, child: z.string(), phase });

const node = z.object({
  name: z.string().min(1),
  /** Node addresses, at most one per family is used: the first. */
  addresses: z.array(z.string()).min(1),
  /** Canonical CIDRs of all pod blocks, any family. */
  podCidrs: z.array(z.string()),
  /** Pod CIDRs that it had a while ago, kept until then (milliseconds since the epoch). */
  formerCidrs: z.array(z.object({ cidr: z.string(), until: z.number() })).optional(),
});

const peer = node.extend({
  /** Child configuration name (`udp_kube-dns_egress`, `pods`) to reqid. */
  reqids: z.record(z.string(), reqid),
});

/**
 * A CHILD_SA pair of the whole cluster, before it is told apart into egress and ingress.
 * The port sets of two children with one protocol never overlap: whoever names a port first (by entry name) owns it,
 * so that responder and initiator choose the same child from the traffic selectors alone (RFC 7296 2.9).
 */
const child = z.object({
  /** `<proto>_<entry>`, or a wide child (`pods`, `pods_tcp`), which carries every port. */
  name: z.string(),
  proto: protocol,
  /** Target ports, sorted; empty: every port. */
  ports: z.array(port),
});

/** A protected service as a pod is matched against it. */
const entry = z.object({
  /** Unique in the cluster: the policy item's name. */
  name: z.string(),
  namespace: z.string(),
  service: z.string(),
  /** The service's selector; null if it has none (its endpoints are then only in `localEndpoints`). */
  selector: z.record(z.string(), z.string()).nullable(),
  /** Address families of the service: a pod of both is protected at those that its endpoints have. */
  families: z.array(z.union([z.literal(4), z.literal(6)])),
  /** Target ports; a string is the name of a container port, resolved per pod. */
  ports: z.array(z.object({ proto: protocol, target: z.union([port, z.string()]), phase })),
});

const pod = z.object({
  namespace: z.string(),
  name: z.string(),
  /** As the runtime passes it in K8S_POD_UID. */
  uid: z.string(),
  labels: z.record(z.string(), z.string()),
  /** Container ports that have a name. */
  ports: z.array(z.object({ name: z.string(), proto: protocol, port })),
  /** status.podIPs; empty until the pod runs. */
  addresses: z.array(z.string()),
});

/** An address of this node that backs a service but is no pod of the chain (manual slice, hostNetwork). */
const localEndpoint = z.object({
  address: z.string(),
  /** True if the address belongs to the host's own stack: its traffic passes `in`, not `fwd`. */
  host: z.boolean(),
  ports: z.array(protectedPort),
});

/** A protected address on another node. */
const endpoint = z.object({ address: z.string(), node: z.string(), ports: z.array(protectedPort) });

/** `<runDir>/node.json`: everything that this node needs to know of the cluster, and nothing else. */
export const nodeCacheSchema = z.object({
  schema: z.literal(CACHE_SCHEMA),
  /** Counts up with every change of content. */
  generation: z.number().int().nonnegative(),
  /** Milliseconds since the epoch; renewed while the source is in sync. */
  writtenAt: z.number().int().nonnegative(),
  childSaScope: z.enum(['service', 'node']),
  /** All pod-to-pod traffic of the cluster is protected. */
  mesh: z.boolean(),
  meshPhase: phase,
  /** Node addresses are clients as well: hostNetwork pods, kubelets, NodePort through another node. */
  nodeTraffic: z.boolean().optional(),
  /** Nobody from outside of the known pod CIDRs reaches a protected port. */
  strict: z.boolean().optional(),
  node,
  peers: z.array(peer),
  /** Pod CIDRs of peers that left, with their last peer: nothing may be sent there in the clear until then. */
  departed: z.array(peer.extend({ until: z.number() })).optional(),
  children: z.array(child),
  entries: z.array(entry),
  pods: z.array(pod),
  localEndpoints: z.array(localEndpoint),
  endpoints: z.array(endpoint),
  /** Protected port numbers of the cluster, for endpoints of peers that this node has not read of yet. */
  unlisted: z.array(protectedPort).optional(),
});

export type NodeCache = z.infer<typeof nodeCacheSchema>;
export type CacheNode = z.infer<typeof node>;
export type CachePeer = z.infer<typeof peer>;
export type CacheChild = z.infer<typeof child>;
export type CacheEntry = z.infer<typeof entry>;
export type CachePod = z.infer<typeof pod>;
export type ProtectedPort = z.infer<typeof protectedPort>;
export type LocalEndpoint = z.infer<typeof localEndpoint>;
export type RemoteEndpoint = z.infer<typeof endpoint>;
/** What the cluster model computes; generation and time are the writer's. */
export type NodeCacheContent = Omit<NodeCache, 'schema' | 'generation' | 'writtenAt'>;
