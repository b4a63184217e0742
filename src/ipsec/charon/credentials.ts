import type { ViciSession } from '../vici/session.ts';
import { parseKeyId } from './replies.ts';

/**
 * The certificates and the key with which charon proves who this node is, and the CAs that it trusts; all in
 * PEM.
 */
export interface Credentials {
  readonly caCertificates: readonly string[];
  readonly certificate: string;
  /** Intermediate certificates between the certificate and a CA, nearest first. */
  readonly chain: readonly string[];
  /** PKCS #8 or SEC 1, unencrypted. It goes to charon's memory and nowhere else. */
  readonly privateKey: string;
}

/**
 * Loads CAs, certificates and key into charon and resolves to the id of the key. What was loaded before
 * stays.
 *
 * @throws ViciError `refused` if charon cannot read one of them
 */
export async function loadCredentials(session: ViciSession, credentials: Credentials): Promise<string> {
  for (const data of credentials.caCertificates) {
    await session.request('load-cert', { type: 'X509', flag: 'CA', data });
  }
  for (const data of [...credentials.chain, credentials.certificate]) {
    await session.request('load-cert', { type: 'X509', flag: 'NONE', data });
  }
  return parseKeyId(await session.request('load-key', { type: 'any', data: credentials.privateKey }));
}
