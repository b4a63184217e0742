import type { NodeCache } from '../cache/schema.ts';
import { planConnections } from '../ipsec/connections.ts';
import { type KernelPolicy, ownPolicy } from '../ipsec/xfrm/kernel-policy.ts';

/** A child of a connection, as charon names them. */
export interface ChildRef {
  readonly connection: string;
  readonly child: string;
}

/**
 * The children through which live traffic will go once it is sent as ESP: plaintext has come in by their policies while those let it.
 * Without SAs the kernel would hold back a hundred packets of each flow and drop the rest. ICMP's policies name no child.
 */
export function childrenInUse(cache: NodeCache, kernel: readonly KernelPolicy[]): ChildRef[] {
  const used = new Set(
    kernel.flatMap((policy) => {
      const own = ownPolicy(policy);
      const live = policy.kind === 'policy' && policy.used === true && own?.template.level === 'use';
      return live && own !== undefined ? [own.template.reqid] : [];
    }),
  );
  return planConnections(cache).flatMap(({ name, children }) =>
    children.filter(({ reqid }) => used.has(reqid)).map((child) => ({ connection: name, child: child.name })),
  );
}
