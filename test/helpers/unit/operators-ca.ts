import type { PemPair } from '../../../src/pki/authority.ts';
import {
  exportPrivateKey,
  generateKeys,
  KEY_TYPES,
  type KeyType,
  serialNumber,
  validFor,
  x509,
} from '../../../src/pki/crypto.ts';

/** An intermediate CA as an operator has it, and its root; PEM. */
export async function operatorsCa(type: KeyType, now: Date): Promise<{ root: string; below: PemPair }> {
  const above = await generateKeys('ecdsa-p384');
  const own = await generateKeys(type);
  const usage = new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true);
  const signing = { signingAlgorithm: KEY_TYPES['ecdsa-p384'].signing };
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: 'CN=operators-root',
    ...validFor(10, now),
    ...signing,
    keys: above,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      usage,
      await x509.SubjectKeyIdentifierExtension.create(above.publicKey),
    ],
  });
  const below = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: 'CN=operators-intermediate',
    issuer: root.subject,
    ...validFor(5, now),
    publicKey: own.publicKey,
    signingKey: above.privateKey,
    ...signing,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      usage,
      await x509.SubjectKeyIdentifierExtension.create(own.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(above.publicKey),
    ],
  });
  return {
    root: `${root.toString('pem')}\n`,
    below: {
      certificate: `${below.toString('pem')}\n`,
      key: `${await exportPrivateKey(own.privateKey)}\n`,
    },
  };
}
