/**
 * What agents and the controller have agreed on: this room says what they write to the API server for each
 * other, and how the other reads it. Nothing here has an effect. It imports zod and the plan's phases,
 * nothing of the agent and nothing of the controller; both of them import it.
 *
 * Here: the two kinds of our own, with their paths below the API server's root.
 */

/** Written by agents, each its own; defined in conf/crds/ipsecnodes.trapline.io.yaml. Cluster-scoped. */
export const IPSEC_NODE = { apiVersion: 'trapline.io/v1alpha1', kind: 'IPsecNode' } as const;
export const IPSEC_NODES_PATH = `/apis/${IPSEC_NODE.apiVersion}/ipsecnodes`;
/**
 * Label of the IPsecNodes that have `addressesOutside`; its value is `true`. Agents watch these alone: a
 * thousand nodes must not watch one another's heartbeats.
 */
export const LENDS_LABEL = 'trapline.io/lends';

/**
 * Written by users, its status by the controller; defined in conf/crds/ipsecpolicies.starlingx.io.yaml.
 * Cluster-scoped.
 */
export const IPSEC_POLICY = { apiVersion: 'starlingx.io/v1', kind: 'IPsecPolicy' } as const;
export const IPSEC_POLICIES_PATH = `/apis/${IPSEC_POLICY.apiVersion}/ipsecpolicies`;
