import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import type { Credentials } from '../../../src/ipsec/charon/credentials.ts';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

/** A throwaway CA that issues node identities, `CN=ipsec-<node>`. */
export interface TestCa {
  readonly issue: (node: string) => Promise<Credentials>;
}

export async function createTestCa(): Promise<TestCa> {
  const caKeys = await newKeys();
  const ca = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=test-ca',
    keys: caKeys,
    signingAlgorithm: ALGORITHM,
    extensions: [new x509.BasicConstraintsExtension(true, undefined, true)],
  });
  return {
    issue: async (node) => {
      const keys = await newKeys();
      const certificate = await x509.X509CertificateGenerator.create({
        subject: `CN=ipsec-${node}`,
        issuer: ca.subject,
        publicKey: keys.publicKey,
        signingKey: caKeys.privateKey,
        signingAlgorithm: ALGORITHM,
      });
      const pkcs8 = await crypto.subtle.exportKey('pkcs8', keys.privateKey);
      return {
        caCertificates: [ca.toString('pem')],
        certificate: certificate.toString('pem'),
        chain: [],
        privateKey: x509.PemConverter.encode(pkcs8, 'PRIVATE KEY'),
      };
    },
  };
}

function newKeys() {
  return crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}
