import type { NodeIdentity } from '../../pki/identity.ts';

/** A certificate is renewed when this part of its life is over, so that it can fail for a while. */
const RENEW_AT = 2 / 3;
/** Nodes that were installed together do not come back together: up to this part of the life later. */
const JITTER = 0.1;

/** When to renew, milliseconds since the epoch. `random`: from 0 to 1, the same for the whole life of the certificate. */
export function renewalAt(
  { notBefore, notAfter }: Pick<NodeIdentity, 'notBefore' | 'notAfter'>,
  random: number,
): number {
  const life = notAfter.getTime() - notBefore.getTime();
  return notBefore.getTime() + life * (RENEW_AT + JITTER * random);
}
