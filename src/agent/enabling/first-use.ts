import { planConnections } from '../../ipsec/plan/connections.ts';
import { planPieces } from '../../ipsec/plan/plan.ts';
import type { Phase, Selector } from '../../ipsec/plan/types.ts';
import { type KernelPolicy, ownPolicy } from '../../ipsec/xfrm/kernel-policy.ts';
import type { NodeCache } from '../../rundir/schema.ts';

/** A child of a connection, as charon names them. */
export interface ChildRef {
  readonly connection: string;
  readonly child: string;
}

/**
 * The children through which live traffic will go once it is sent as ESP. Live is what has come in as
 * plaintext by a policy of level `use`; such a policy names no child, but the policy for what is sent the
 * other way does. They are brought up beforehand: without SAs the kernel would queue a hundred packets of
 * each flow and drop the rest, and where both ends begin at once, one of them could send through an SA that
 * the other does not have yet. Throws PlanError.
 */
export function childrenInUse(cache: NodeCache, kernel: readonly KernelPolicy[]): ChildRef[] {
  const live = kernel.flatMap((policy) => {
    const own = policy.kind === 'policy' && policy.used === true ? ownPolicy(policy) : undefined;
    return own?.template.level === 'use' ? [own.selector] : [];
  });
  const used = new Set(reqidsOfAnswers(cache, live));
  return planConnections(cache).flatMap(({ name, children }) =>
    children.filter(({ reqid }) => used.has(reqid)).map((child) => ({ connection: name, child: child.name })),
  );
}

/** The reqids of the policies for what is sent the other way. */
function reqidsOfAnswers(cache: NodeCache, inbound: readonly Selector[]): number[] {
  const wanted = new Set(
    inbound.map(({ src, dst, proto, sport, dport }) =>
      textOf({ proto, src: dst, dst: src, sport: dport, dport: sport }),
    ),
  );
  return wanted.size === 0
    ? []
    : planPieces(sending(cache), []).flatMap(({ make }) =>
        make().flatMap(({ dir, selector, template: { reqid } }) =>
          dir === 'out' && wanted.has(textOf(selector)) ? [reqid] : [],
        ),
      );
}

const textOf = ({ src, dst, proto, sport, dport }: Selector): string =>
  `${src} ${dst} ${proto} ${sport} ${dport}`;

/** The cache as it will be when all nodes have accepted what is being enabled. */
function sending(cache: NodeCache): NodeCache {
  const sent = <T extends { readonly phase?: Phase | undefined }>(one: T): T =>
    one.phase === 'accept' ? { ...one, phase: 'send' } : one;
  const withPorts = <
    P extends { readonly phase?: Phase | undefined },
    T extends { readonly ports: readonly P[] },
  >(
    one: T,
  ): T => ({ ...one, ports: one.ports.map(sent) });
  return {
    ...cache,
    ...(cache.meshPhase === 'accept' ? { meshPhase: 'send' } : {}),
    ...(cache.unlisted === undefined ? {} : { unlisted: cache.unlisted.map(sent) }),
    entries: cache.entries.map(withPorts),
    localEndpoints: cache.localEndpoints.map(withPorts),
    endpoints: cache.endpoints.map(withPorts),
  };
}
