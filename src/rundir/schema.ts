import * as z from 'zod';

/** Raised with every change of shape that an older plugin or agent could misread. */
export const CACHE_SCHEMA = 1;

const protocol = z.enum(['tcp', 'udp', 'sctp', 'any']);
const port = z.number().int().min(0).max(65535);
const reqid = z.number().int().min(1).max(0xffffffff);

/** How far the enabling of a port has come (docs/design.md, Phases). Absent means `require`. */
const phase = z.enum(['accept', 'send', 'require']).optional();

/**
 * A port of a protected address, and the child that carries it. Port 0 stands for every port of the protocol.
 */
const protectedPort = z.object({ proto: protocol, port, child: z.string(), phase });

const node = z.object({
  name: z.string().min(1),
  /** Addresses of the node. At most one per family is used: the first. */
  addresses: z.array(z.string()).min(1),
  /** Canonical CIDRs of all its pod blocks, of any family. */
  podCidrs: z.array(z.string()),
  /** Pod CIDRs that the node had before, kept until `until` (milliseconds since the epoch). */
  formerCidrs: z.array(z.object({ cidr: z.string(), until: z.number() })).optional(),
});

const peer = node.extend({
  /** Name of a child (`udp_kube-dns_egress`, `pods`) to its reqid. */
  reqids: z.record(z.string(), reqid),
});

/**
 * A CHILD_SA pair as the whole cluster shares it, before it is split into egress and ingress. Two children
 * may have ports in common: each carries those of its own entry (docs/design.md, Which child).
 */
const child = z.object({
  /** `<proto>_<entry>`, or a wide child (`pods`, `pods_tcp`), which carries every port. */
  name: z.string(),
  proto: protocol,
  /** Target ports, sorted. Empty: every port. */
  ports: z.array(port),
});

/** An entry: a protected service, in the form that pods are matched against. */
const entry = z.object({
  /** Unique in the cluster: the policy item's name. */
  name: z.string(),
  namespace: z.string(),
  service: z.string(),
  /** The service's selector. Null if it has none: its endpoints are then only in `localEndpoints`. */
  selector: z.record(z.string(), z.string()).nullable(),
  /**
   * Address families of the service. A pod with addresses of both is protected at those families that the
   * service's endpoints have.
   */
  families: z.array(z.union([z.literal(4), z.literal(6)])),
  /**
   * Under which name the entry's children go, if not under its own: that of an item that covers many
   * Services, or `*` for the wide children.
   */
  carrier: z.string().optional(),
  /** Target ports. A string is the name of a container port, which each pod resolves to a number. */
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
  /** status.podIPs, canonical. Empty until the pod runs. */
  addresses: z.array(z.string()),
});

/**
 * An address of this node that backs a service, but is not of a pod in the plugin's chain (a manual slice,
 * hostNetwork).
 */
const localEndpoint = z.object({
  address: z.string(),
  /**
   * True if the address belongs to the host's own stack: its traffic passes policies of direction `in`, not
   * `fwd`.
   */
  host: z.boolean(),
  ports: z.array(protectedPort),
  /** The namespace whose services have the address. */
  namespace: z.string().optional(),
});

/** A protected address on another node. */
const endpoint = z.object({
  address: z.string(),
  node: z.string(),
  ports: z.array(protectedPort),
  /** The namespace whose services have the address. */
  namespace: z.string().optional(),
});

/**
 * The node cache, `<runDir>/node.json`: all that this node needs to know of the cluster, and nothing else.
 */
export const nodeCacheSchema = z.object({
  schema: z.literal(CACHE_SCHEMA),
  /** Raised by one with every change of content. */
  generation: z.number().int().nonnegative(),
  /** Milliseconds since the epoch. Renewed while the source is in sync. */
  writtenAt: z.number().int().nonnegative(),
  childSaScope: z.enum(['service', 'node']),
  /** True if all pod-to-pod traffic of the cluster is protected. */
  mesh: z.boolean(),
  meshPhase: phase,
  /** True if node addresses are clients too: hostNetwork pods, kubelets, NodePort through another node. */
  nodeTraffic: z.boolean().optional(),
  /** True if strangers, sources in no pod CIDR that this node knows, cannot reach a protected port. */
  strict: z.boolean().optional(),
  node,
  peers: z.array(peer),
  /**
   * Departed peers with their pod CIDRs, until `until` (milliseconds since the epoch): nothing may be sent
   * there in the clear before (docs/design.md, Unlisted and departed).
   */
  departed: z.array(peer.extend({ until: z.number() })).optional(),
  /**
   * Nodes whose pod CIDRs are known, and no address of theirs: no tunnel leads there, and nothing that is
   * protected may go there or come from there in the clear.
   */
  unreachable: z.array(z.object({ name: z.string(), podCidrs: z.array(z.string()) })).optional(),
  /** In the order of the items that they are from: the first comes before the others. */
  children: z.array(child),
  entries: z.array(entry),
  pods: z.array(pod),
  localEndpoints: z.array(localEndpoint),
  endpoints: z.array(endpoint),
  /**
   * Protected addresses of pods that are on no known node: no tunnel leads there, so nothing may be sent to
   * these ports of theirs.
   */
  lost: z.array(endpoint.omit({ node: true })).optional(),
  /**
   * Protected ports of the cluster, for endpoints on peers that no slice this node has read lists yet
   * (docs/design.md, Unlisted and departed).
   */
  unlisted: z.array(protectedPort).optional(),
  /**
   * The boot of the machine (`bootIdOf`) in which the kernel was brought in step with this cache or an
   * earlier one. Of another boot, or absent: nobody can say that the kernel has any policy of ours.
   */
  bootId: z.string().optional(),
  /**
   * All protected ports of the cluster, whole protocols too: what departed peers' pods may have served. Only
   * there if there are departed or unreachable peers.
   */
  guarded: z.array(protectedPort).optional(),
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
export type LostEndpoint = NonNullable<NodeCache['lost']>[number];
/** What the writer adds to what the model computes. */
export type OfWriter = 'schema' | 'generation' | 'writtenAt' | 'bootId';
/** What the cluster model computes. */
export type NodeCacheContent = Omit<NodeCache, OfWriter>;
