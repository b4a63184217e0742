import { CONNECTION_BYTES, TRAFFIC_SELECTORS } from '../ipsec/plan/bounds.ts';

/**
 * How much of what comes from outside is taken, in one place. What is beyond a bound is left out or
 * coarsened, never the rest with it, and a problem names the object and the bound. docs/trust.md lists them
 * (Bounds).
 */
export const BOUNDS = {
  /**
   * Shortest prefix that a node's pod CIDR may have, by family; bits. A shorter one would cover other nodes'
   * pods, or all.
   */
  podCidrBits: { 4: 16, 6: 48 },
  /** How many CAs an IPsecNode may say that its node trusts. One that says more counts as trusting none. */
  trustedAuthorities: 64,
  /**
   * Addresses of an EndpointSlice; Kubernetes allows 1,000 endpoints, each with one that counts. What is
   * beyond is treated as beyond those of a Service.
   */
  addressesPerSlice: 1_000,
  /** Ports of a Service or of an EndpointSlice that are read. */
  portsPerObject: 400,
  /** Items of an IPsecPolicy. */
  itemsPerPolicy: 5_000,
  /** Specs between the commas of an item's `serviceports`. */
  specsPerItem: 256,
  /** Services that `servicename: "*"` covers in a namespace; the oldest come first. */
  servicesPerWildcard: 1_000,
  /**
   * Target ports of one protocol that are protected one by one at a Service; beyond it the protocol is
   * protected as a whole.
   */
  portsPerService: 256,
  /** EndpointSlices of a Service; the oldest come first. */
  slicesPerService: 1_000,
  /**
   * Addresses of a Service that are protected one by one. At the others its port numbers are protected with
   * the whole pod CIDRs of their nodes.
   */
  addressesPerService: 5_000,
  /** Addresses of a Service times its protected ports: each pair costs policies on every node. */
  pairsPerService: 20_000,
  /** The same for all Services together that an item with `servicename: "*"` covers, the oldest first. */
  pairsPerItem: 30_000,
  /**
   * Addresses that are beyond these bounds times the protocols that are protected as a whole there: no CIDR
   * can stand for these, so they go on one by one. For a Service, and for an item as above.
   */
  wholePairs: 40_000,
  /** An object with what Trapline reads of it, as JSON; characters. Slices and policies have other bounds. */
  charactersPerObject: 32 * 1_024,
  /** How long a value is shown in a problem, and a problem as a whole; characters. */
  charactersPerValue: 80,
  charactersPerProblem: 600,
  /**
   * What a node tells of itself (heartbeat, IPsecNode): elements of each list, and characters of a name, of
   * an element and of what sums up several.
   */
  told: { elements: 50, name: 253, text: 512, summary: 2_048 },
  /** Pod CIDRs that a node may have: policies grow with the product of two nodes' numbers. */
  podCidrsPerNode: 256,
  /** Addresses outside of its node's pod CIDRs that an agent confirms (`status.addressesOutside`). */
  addressesOutside: 256,
  /** Services of one namespace that are gone, and that only a wildcard item had named. */
  formerServices: 100,
  /** Endpoints of one Service that is gone. */
  formerEndpoints: 1_000,
  /** Ports of one namespace's Services that nothing protects any more. */
  formerPorts: 1_000,
  /**
   * Services of one policy item for every Service of a namespace that have CHILD_SAs of their own; with more,
   * all of them share those of the item.
   */
  servicesOfItem: 64,
  /**
   * Children of one node towards one peer that are not wide. Even with the longest names a connection of so
   * many fits into a packet of VICI. The items after them share the wide children of their protocols.
   */
  children: 192,
  /** Letters of an entry's name: VICI's names, with protocol and side, have at most 255 bytes. */
  entryName: 200,
  /** Traffic selectors of one side of a child; with more they name no ports, then no CIDRs. */
  trafficSelectors: TRAFFIC_SELECTORS,
  /** Bytes of a connection's children in VICI; with more, as above for all of them. */
  connectionBytes: CONNECTION_BYTES,
} as const;
