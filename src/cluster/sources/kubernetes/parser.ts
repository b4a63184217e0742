import * as z from 'zod';
import { IPSEC_NODE, IPSEC_POLICY } from '../../contract/resources.ts';
import { SERVICE_NAME_LABEL } from '../../objects.ts';
import type { ClusterObjects } from '../../snapshot.ts';
import { type ParsedObject, parseObject } from '../parse-object.ts';
import type { SliceWatch } from './slice-scope.ts';

type Kind = { readonly kind: string; readonly apiVersion: string };

const KINDS = {
  services: { kind: 'Service', apiVersion: 'v1' },
  endpointSlices: { kind: 'EndpointSlice', apiVersion: 'discovery.k8s.io/v1' },
  nodes: { kind: 'Node', apiVersion: 'v1' },
  pods: { kind: 'Pod', apiVersion: 'v1' },
  policies: IPSEC_POLICY,
  blockAffinities: { kind: 'BlockAffinity', apiVersion: 'crd.projectcalico.org/v1' },
  ciliumNodes: { kind: 'CiliumNode', apiVersion: 'cilium.io/v2' },
  ipsecNodes: IPSEC_NODE,
} as const satisfies Readonly<Record<keyof ClusterObjects, Kind>>;

/** Reads the objects of a list. Those that are not wanted count as not there. */
export function parserOf(
  list: keyof ClusterObjects,
  isWanted: (raw: unknown) => boolean,
): (raw: unknown, former: ParsedObject | undefined) => ParsedObject | string | undefined {
  // The API server leaves kind and apiVersion out of the items of a list.
  return (raw, former) =>
    isWanted(raw)
      ? (parseObject({ ...(raw as object), ...KINDS[list] }, former?.object) ??
        `not a ${KINDS[list].kind} that Trapline reads`)
      : undefined;
}

const labelled = z.object({
  metadata: z.object({
    namespace: z.string().default('default'),
    labels: z.object({ [SERVICE_NAME_LABEL]: z.string() }),
  }),
});

/** Whether a slice is of a Service that a policy names. One of no Service is never read. */
export function sliceFilter({ services }: SliceWatch): (raw: unknown) => boolean {
  const wanted = services === undefined ? undefined : new Set(services);
  return (raw) => {
    const parsed = labelled.safeParse(raw);
    if (!parsed.success) {
      return false;
    }
    const { namespace, labels } = parsed.data.metadata;
    return wanted === undefined || wanted.has(`${namespace}/${labels[SERVICE_NAME_LABEL]}`);
  };
}
