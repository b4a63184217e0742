import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { writeFileAtomic } from '../rundir/write.ts';
import { anchorOf } from './anchor.ts';
import { certify, createAuthority, type Life, parseAuthority } from './authority.ts';
import { exportPrivateKey, generateKeys, type KeyType, x509 } from './crypto.ts';
import { assertNodeName, PkiError } from './error.ts';

/** Names of files in the folder of a CA, and in that of a node. */
export const CA_CERTIFICATE = 'ca.crt';
export const CA_KEY = 'ca.key';
export const NODE_CERTIFICATE = 'node.crt';
export const NODE_KEY = 'node.key';

/**
 * Makes a CA in a folder: `ca.crt` and `ca.key` (0600). Throws PkiError, also if either file is there
 * already.
 */
export async function initCa(folder: string, life: Life): Promise<void> {
  for (const file of [CA_CERTIFICATE, CA_KEY]) {
    if (existsSync(`${folder}/${file}`)) {
      throw new PkiError(`${folder}/${file} is there already; a new CA would lock out every node`);
    }
  }
  const { certificate, key } = await createAuthority(life);
  writeFileAtomic(`${folder}/${CA_KEY}`, key);
  writeFileAtomic(`${folder}/${CA_CERTIFICATE}`, certificate);
}

export interface IssueRequest extends Life {
  readonly caFolder: string;
  readonly node: string;
  readonly outFolder: string;
  readonly keyType: KeyType;
}

/**
 * Makes a key (0600) and a certificate for a node, subject `CN=ipsec-<node>`, and writes `node.key`,
 * `node.crt` and the CA's `ca.crt` in place of former ones. The key is written first: a crash in between
 * leaves a key that does not fit the former certificate, and the agent refuses such a pair. The node's
 * `ca.crt` trusts this CA alone, even if it is an intermediate one. Throws PkiError.
 */
export async function issueNode({
  caFolder,
  node,
  outFolder,
  keyType,
  ...life
}: IssueRequest): Promise<void> {
  assertNodeName(node);
  const pair = {
    certificate: await readPem(`${caFolder}/${CA_CERTIFICATE}`),
    key: await readPem(`${caFolder}/${CA_KEY}`),
  };
  const authority = await parseAuthority(pair, '', life.now).catch((error: Error) => {
    throw new PkiError(`${caFolder}: ${error.message}`);
  });
  const keys = await generateKeys(keyType);
  const publicKey = await x509.PublicKey.create(keys.publicKey);
  const certificate = await certify(authority, { node, publicKey, ...life });
  writeFileAtomic(`${outFolder}/${NODE_KEY}`, `${await exportPrivateKey(keys.privateKey)}\n`);
  writeFileAtomic(`${outFolder}/${NODE_CERTIFICATE}`, certificate);
  writeFileAtomic(`${outFolder}/${CA_CERTIFICATE}`, `${(await anchorOf(authority, [])).toString('pem')}\n`);
}

/** Throws PkiError that names the file. */
export async function readPem(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new PkiError((error as Error).message);
  }
}
