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

export interface OperatorsCa {
  readonly root: string;
  readonly rootKey: string;
  /** An intermediate CA. */
  readonly below: PemPair;
  /** Makes another intermediate CA below the same root. */
  readonly sibling: () => Promise<PemPair>;
}

/** An intermediate CA as an operator has it, and its root; PEM. */
export async function operatorsCa(type: KeyType, now: Date): Promise<OperatorsCa> {
  const above = await generateKeys('ecdsa-p384');
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
  const intermediate = async (name: string): Promise<PemPair> => {
    const own = await generateKeys(type);
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: serialNumber(),
      subject: `CN=${name}`,
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
      certificate: `${certificate.toString('pem')}\n`,
      key: `${await exportPrivateKey(own.privateKey)}\n`,
    };
  };
  return {
    root: `${root.toString('pem')}\n`,
    rootKey: `${await exportPrivateKey(above.privateKey)}\n`,
    below: await intermediate('operators-intermediate'),
    sibling: () => intermediate('operators-other-intermediate'),
  };
}
