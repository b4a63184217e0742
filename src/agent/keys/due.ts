import type { NodeIdentity } from '../../pki/identity.ts';

/** The part of its life after which a certificate is renewed; the rest is time in which renewing may fail. */
const RENEW_AT = 2 / 3;
/**
 * Renewal happens up to this part of the life later, so that nodes that were installed together do not come
 * back together.
 */
const JITTER = 0.1;

/**
 * When to renew a certificate, milliseconds since the epoch. `random` is from 0 to 1 and must stay the same
 * for the whole life of the certificate.
 */
export function renewalAt(
  { notBefore, notAfter }: Pick<NodeIdentity, 'notBefore' | 'notAfter'>,
  random: number,
): number {
  const life = notAfter.getTime() - notBefore.getTime();
  return notBefore.getTime() + life * (RENEW_AT + JITTER * random);
}
