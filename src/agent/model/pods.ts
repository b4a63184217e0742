import { MIRROR_ANNOTATION, MIRROR_HASH_ANNOTATION } from '../../cluster/fields.ts';
import type { Pod } from '../../cluster/objects.ts';
import { protoOf } from '../../cluster/policies/service-ports.ts';
import { rememberedAddress } from '../../ip/remembered.ts';
import type { CachePod } from '../../rundir/schema.ts';

/** The pods of a node that the CNI chain attaches, sorted by namespace and name. */
export function podsOf(objects: readonly Pod[], nodeName: string): CachePod[] {
  return podsOfCluster(objects.filter(({ spec }) => spec.nodeName === nodeName && spec.hostNetwork !== true));
}

/** All pods that have not ended, on whatever node, sorted by namespace and name. */
export function podsOfCluster(objects: readonly Pod[]): CachePod[] {
  return objects
    .filter(({ status }) => status?.phase !== 'Succeeded' && status?.phase !== 'Failed')
    .map(cachePod)
    .sort((a, b) => (`${a.namespace}/${a.name}` < `${b.namespace}/${b.name}` ? -1 : 1));
}

function cachePod({ metadata, spec, status }: Pod): CachePod {
  const sidecars = (spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always');
  const ports = [...(spec.containers ?? []), ...sidecars].flatMap((container) => container.ports ?? []);
  const addresses = [...(status?.podIPs ?? []).map(({ ip }) => ip), status?.podIP];
  return {
    namespace: metadata.namespace ?? 'default',
    name: metadata.name,
    uid: runtimeUid(metadata),
    labels: metadata.labels ?? {},
    ports: ports.flatMap(({ name, protocol, containerPort }) =>
      name === undefined ? [] : [{ name, proto: protoOf(protocol), port: containerPort }],
    ),
    addresses: [
      ...new Set(addresses.map((ip) => rememberedAddress(ip ?? '')).filter((ip) => ip !== undefined)),
    ].sort(),
  };
}

/**
 * The uid by which the runtime knows a pod. It knows a static pod by the hash of the manifest, not by the uid
 * of the mirror pod.
 */
function runtimeUid({ uid, annotations }: Pod['metadata']): string {
  const mirrored = annotations?.[MIRROR_ANNOTATION] !== undefined;
  return (mirrored ? annotations?.[MIRROR_HASH_ANNOTATION] : uid) ?? '';
}
