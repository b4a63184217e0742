import { hostCidr } from '../ip/family.ts';
import { policyKey } from '../ipsec/plan/ours.ts';
import { planPolicies } from '../ipsec/plan/plan.ts';
import { localAddresses, type ServedAddress, selects } from '../ipsec/plan/served.ts';
import type { PolicyKey, XfrmPolicy } from '../ipsec/plan/types.ts';
import { diffPolicies } from '../ipsec/xfrm/compare/diff.ts';
import type { Attachment } from '../rundir/attachment.ts';
import type { CachePod, NodeCache } from '../rundir/schema.ts';
import type { NodeView } from './view.ts';

/** A planned policy of a pod. `unknown`: the kernel could not be read. */
export interface ExplainedPolicy {
  readonly key: PolicyKey;
  readonly reqid: number;
  readonly inKernel: 'yes' | 'no' | 'unknown';
}

/** Why a pod is protected on this node, or why it is not. */
export type Explanation =
  | { readonly kind: 'unknown' | 'unprotected'; readonly pod: string; readonly why: string }
  | {
      readonly kind: 'protected';
      readonly pod: string;
      /**
       * Names of the entries whose service selects the pod. Empty if the pod is protected as a manual
       * endpoint or by the mesh.
       */
      readonly entries: readonly string[];
      readonly addresses: readonly ServedAddress[];
      readonly peers: readonly string[];
      readonly policies: readonly ExplainedPolicy[];
    };

/**
 * What `traplinectl explain <namespace>/<name>` says: the protected ports that the pod serves on this node.
 * Without effects.
 */
export function explain(view: NodeView, namespace: string, name: string): Explanation {
  const pod = `${namespace}/${name}`;
  if (view.cache.kind !== 'ok') {
    return { kind: 'unknown', pod, why: `no node cache: ${view.cache.message}` };
  }
  const cache = view.cache.value;
  const records = view.attachments.records.filter(
    (record) => record.pod?.namespace === namespace && record.pod.name === name,
  );
  const cachedPod = cache.pods.find(
    (candidate) => candidate.namespace === namespace && candidate.name === name,
  );
  const addresses = new Set(records.flatMap((record) => record.addresses));
  for (const address of records.length === 0 ? (cachedPod?.addresses ?? []) : []) {
    addresses.add(address);
  }
  try {
    const served = localAddresses(cache, view.attachments.records).filter(({ address }) =>
      addresses.has(address),
    );
    const planned = planPolicies(cache, view.attachments.records).filter(
      ({ dir, selector: { src, dst } }) => cache.mesh || addresses.has(hostOf(dir === 'out' ? src : dst)),
    );
    const entries = cachedPod === undefined ? [] : cache.entries.filter((entry) => selects(entry, cachedPod));
    return planned.length === 0 || (cache.mesh && addresses.size === 0)
      ? {
          ...whyNot(
            { cache, cachedPod, records },
            entries.map((entry) => entry.name),
          ),
          pod,
        }
      : {
          kind: 'protected',
          pod,
          entries: entries.map((entry) => entry.name),
          addresses: served,
          peers: cache.peers.map((peer) => peer.name),
          policies: inKernel(planned, view),
        };
  } catch (error) {
    return { kind: 'unknown', pod, why: `no plan: ${(error as Error).message}` };
  }
}

/** What this node has of the pod: its part of the cache and its attachment records. */
interface Facts {
  readonly cache: NodeCache;
  readonly cachedPod: CachePod | undefined;
  readonly records: readonly Attachment[];
}

type WhyNot = { readonly kind: 'unknown' | 'unprotected'; readonly why: string };

function whyNot({ cache, cachedPod, records }: Facts, entries: readonly string[]): WhyNot {
  if (cachedPod === undefined && records.length === 0) {
    return { kind: 'unknown', why: `neither in the cache of node ${cache.node.name} nor attached to it` };
  }
  if (cachedPod === undefined) {
    return {
      kind: 'unknown',
      why: 'attached, but not in the node cache: the source does not list it on this node',
    };
  }
  if (entries.length === 0 && !cache.mesh) {
    const inNamespace = cache.entries.filter((entry) => entry.namespace === cachedPod.namespace).length;
    const tried =
      inNamespace === 0 ? 'no entry names a service of its namespace' : 'no selector matches its labels';
    return { kind: 'unprotected', why: `it backs no protected service: ${tried}` };
  }
  if (records.length === 0 && cachedPod.addresses.length === 0) {
    return {
      kind: 'unprotected',
      why: 'it has no address yet: not attached by trapline, none in its status',
    };
  }
  if (cache.peers.length === 0) {
    return { kind: 'unprotected', why: 'the node has no peers: nothing of it leaves the node' };
  }
  return {
    kind: 'unprotected',
    why: `entry ${entries.join(', ')} selects it, but no protected port resolves on it`,
  };
}

function inKernel(planned: readonly XfrmPolicy[], { kernel }: NodeView): ExplainedPolicy[] {
  const lacking =
    kernel.kind === 'ok'
      ? new Set(lackingKeys(diffPolicies(planned, kernel.policies)))
      : new Set<PolicyKey>();
  return planned.map((policy) => {
    const key = policyKey(policy);
    const present = lacking.has(key) ? 'no' : 'yes';
    return { key, reqid: policy.template.reqid, inKernel: kernel.kind === 'ok' ? present : 'unknown' };
  });
}

function lackingKeys({ operations, conflicts }: ReturnType<typeof diffPolicies>): PolicyKey[] {
  return [
    ...operations.filter(({ op }) => op !== 'delete').map(({ policy }) => policyKey(policy)),
    ...conflicts.map(({ desired }) => policyKey(desired)),
  ];
}

/** The address of a CIDR that holds one alone; empty for any other. */
function hostOf(cidr: string): string {
  const [address = ''] = cidr.split('/');
  return cidr === hostCidr(address) ? address : '';
}
