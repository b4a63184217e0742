import 'reflect-metadata';
import { createPrivateKey, createPublicKey, type KeyObject, webcrypto } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import * as x509 from '@peculiar/x509';

x509.cryptoProvider.set(webcrypto);

export { x509 };

/** The types of key that a node can have. */
export type KeyType = 'ecdsa-p256' | 'ecdsa-p384' | 'rsa-3072';

type SigningAlgorithm = { readonly name: string; readonly hash: string };

interface KeySpec {
  readonly algorithm: webcrypto.EcKeyGenParams | webcrypto.RsaHashedKeyGenParams;
  readonly signing: SigningAlgorithm;
}

const rsa = (modulusLength: number): KeySpec => ({
  algorithm: {
    name: 'RSASSA-PKCS1-v1_5',
    modulusLength,
    publicExponent: new Uint8Array([1, 0, 1]),
    hash: 'SHA-256',
  },
  signing: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
});

export const KEY_TYPES: Readonly<Record<KeyType, KeySpec>> = {
  'ecdsa-p256': {
    algorithm: { name: 'ECDSA', namedCurve: 'P-256' },
    signing: { name: 'ECDSA', hash: 'SHA-256' },
  },
  'ecdsa-p384': {
    algorithm: { name: 'ECDSA', namedCurve: 'P-384' },
    signing: { name: 'ECDSA', hash: 'SHA-384' },
  },
  'rsa-3072': rsa(3_072),
};

/** RSA keys of fewer bits are refused (SP 800-57 part 1, table 2: 128 bits of security). */
const LEAST_RSA_BITS = 3_072;

export const DAY_MS = 86_400_000;
/**
 * Certificates are valid from this long before they are made, so that a node whose clock is behind accepts
 * them.
 */
const SKEW_MS = 300_000;

interface Validity {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/** `days` from now, but not beyond `until`, the end of the issuer's own certificate. */
export function validFor(days: number, now: Date, until?: Date): Validity {
  const notAfter = new Date(now.getTime() + days * DAY_MS);
  return {
    notBefore: new Date(now.getTime() - SKEW_MS),
    notAfter: until !== undefined && until < notAfter ? until : notAfter,
  };
}

/** 128 random bits, positive (RFC 5280 4.1.2.2). */
export function serialNumber(): string {
  const bytes = webcrypto.getRandomValues(new Uint8Array(16));
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return Buffer.from(bytes).toString('hex');
}

export async function generateKeys(type: KeyType): Promise<webcrypto.CryptoKeyPair> {
  return (await webcrypto.subtle.generateKey(KEY_TYPES[type].algorithm, true, [
    'sign',
    'verify',
  ])) as webcrypto.CryptoKeyPair;
}

/** PKCS #8, PEM. */
export async function exportPrivateKey(key: webcrypto.CryptoKey): Promise<string> {
  return x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY');
}

export interface SigningKey {
  /** Undefined for a key of a type that no node has. */
  readonly type: KeyType | undefined;
  readonly key: webcrypto.CryptoKey;
  readonly signing: SigningAlgorithm;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Buffer;
}

/**
 * Reads an unencrypted key in PEM: PKCS #8, SEC 1 or PKCS #1. Throws an Error that says nothing of the key if
 * the text is no such key, or the key is of a type that nobody should have.
 */
export async function importPrivateKey(pem: string): Promise<SigningKey> {
  const key = keyObject(pem);
  const spec = specOf(key);
  const type = (Object.keys(KEY_TYPES) as KeyType[]).find((each) => isDeepStrictEqual(KEY_TYPES[each], spec));
  return {
    key: await webcrypto.subtle.importKey(
      'pkcs8',
      new Uint8Array(key.export({ format: 'der', type: 'pkcs8' })),
      spec.algorithm,
      true,
      ['sign'],
    ),
    type,
    signing: spec.signing,
    publicKey: createPublicKey(key).export({ format: 'der', type: 'spki' }),
  };
}

function keyObject(pem: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch {
    throw new TypeError('not an unencrypted private key in PEM');
  }
}

function specOf({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): KeySpec {
  const { namedCurve, modulusLength = 0 } = asymmetricKeyDetails ?? {};
  if (asymmetricKeyType === 'ec' && namedCurve === 'prime256v1') {
    return KEY_TYPES['ecdsa-p256'];
  }
  if (asymmetricKeyType === 'ec' && namedCurve === 'secp384r1') {
    return KEY_TYPES['ecdsa-p384'];
  }
  if (asymmetricKeyType === 'rsa') {
    return rsa(modulusLength);
  }
  throw new TypeError(`a key of type ${asymmetricKeyType} ${namedCurve ?? ''} is not one of ours`.trim());
}

/** Empty if a public key (SubjectPublicKeyInfo, DER) is strong enough, otherwise why it is not. */
export function weakness(publicKey: ArrayBuffer): string {
  const { asymmetricKeyType, asymmetricKeyDetails } = createPublicKey({
    key: Buffer.from(publicKey),
    format: 'der',
    type: 'spki',
  });
  const { namedCurve, modulusLength = 0 } = asymmetricKeyDetails ?? {};
  if (asymmetricKeyType === 'ec') {
    return namedCurve === 'prime256v1' || namedCurve === 'secp384r1'
      ? ''
      : `curve ${namedCurve} is neither P-256 nor P-384`;
  }
  if (asymmetricKeyType === 'rsa') {
    return modulusLength >= LEAST_RSA_BITS ? '' : `RSA of ${modulusLength} bits; ${LEAST_RSA_BITS} at least`;
  }
  return `a key of type ${asymmetricKeyType} is neither ECDSA nor RSA`;
}
