/** Value types shared by the plan, the iproute2 wrapper and the charon driver. Nothing here has an effect. */

/** Protocol of a protected port; `any` stands for every protocol and has no port numbers. */
export type Protocol = 'tcp' | 'udp' | 'sctp' | 'any';

/** Protocols an XFRM selector can name. */
export type SelectorProtocol = Protocol | 'icmp' | 'icmpv6';

/**
 * How far the enabling of a protected port is (docs/design.md, Phases). In `accept` a node lets in ESP and
 * plaintext and sends plaintext; in `send` it lets in both and sends ESP; in `require` it sends ESP and lets
 * in nothing else. No node takes a step before every node has taken the one before, so live traffic loses
 * nothing. In the cache and in types of the plan an absent phase always means `require`.
 */
export type Phase = 'accept' | 'send' | 'require';

export type Direction = 'in' | 'out' | 'fwd';

/**
 * An XFRM selector. Addresses are canonical CIDRs (`10.1.0.3/32`, `fd00:1::/64`); a port may be EVERY_PORT.
 */
export interface Selector {
  readonly src: string;
  readonly dst: string;
  readonly proto: SelectorProtocol;
  readonly sport: number;
  readonly dport: number;
}

/** An ESP tunnel template. `src` and `dst` are node addresses without prefix length. */
export interface Template {
  readonly src: string;
  readonly dst: string;
  /** REQID_ANY in policies for what comes in: an SA of any child will do. */
  readonly reqid: number;
  /** `use` lets plaintext in as well (RFC 4301 4.4.1 has no such level; docs/design.md, Phases). */
  readonly level: 'required' | 'use';
  /**
   * SPI of the one SA that an `out` policy is pinned to while the successor of that SA comes up. Absent: the
   * kernel takes the newest SA.
   */
  readonly spi?: number;
}

/** One XFRM policy of ours: action allow, exactly one ESP tunnel template. */
export interface XfrmPolicy {
  readonly dir: Direction;
  readonly selector: Selector;
  readonly priority: number;
  readonly template: Template;
}

/**
 * Identifies a policy in the kernel: `<dir> <src> <dst> <proto> <sport> <dport>`. The kernel has at most one
 * policy for each key (with mark and if_id zero, as ours are).
 */
export type PolicyKey = string;

/**
 * A CHILD_SA configuration. Traffic selectors use swanctl's form: `10.1.0.0/24[udp/53]`, `10.1.0.0/24[udp]`.
 */
export interface ChildConfig {
  /** `<proto>_<entry>_egress`, `<proto>_<entry>_ingress`, or the name of a wide child: `pods`, `pods_tcp`. */
  readonly name: string;
  readonly reqid: number;
  readonly localTs: readonly string[];
  readonly remoteTs: readonly string[];
}

/** One IKE connection to a peer node. */
export interface ConnectionConfig {
  /** `k8s-node-<peer>` */
  readonly name: string;
  readonly peer: string;
  readonly localAddrs: readonly string[];
  readonly remoteAddrs: readonly string[];
  /** `CN=ipsec-<node>` */
  readonly localId: string;
  readonly remoteId: string;
  readonly children: readonly ChildConfig[];
}

export interface Plan {
  /** Sorted by key; no key twice. */
  readonly policies: readonly XfrmPolicy[];
  /** Sorted by name. */
  readonly connections: readonly ConnectionConfig[];
}
