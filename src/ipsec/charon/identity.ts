import type { ViciSession } from '../vici/session.ts';
import { parseKeyId } from './replies.ts';

/** Who this node is and whom it trusts; all in PEM. */
export interface Identity {
  readonly caCertificates: readonly string[];
  readonly certificate: string;
  /** PKCS #8 or SEC 1, unencrypted. It goes to charon's memory and nowhere else. */
  readonly privateKey: string;
}

/**
 * Loads CAs, certificate and key into charon; resolves to the key's id. What others loaded stays. A key that this session loaded
 * before (`previousKey`) and that is another one is forgotten, so that charon signs with the new one.
 *
 * @throws ViciError `refused` if charon cannot read one of them
 */
export async function loadIdentity(
  session: ViciSession,
  identity: Identity,
  previousKey?: string,
): Promise<string> {
  for (const data of identity.caCertificates) {
    await session.request('load-cert', { type: 'X509', flag: 'CA', data });
  }
  await session.request('load-cert', { type: 'X509', flag: 'NONE', data: identity.certificate });
  const key = parseKeyId(await session.request('load-key', { type: 'any', data: identity.privateKey }));
  if (previousKey !== undefined && previousKey !== key) {
    await session.request('unload-key', { id: previousKey });
  }
  return key;
}
