import { type SigningKey, x509 } from './crypto.ts';

/** Name of the signer of node certificates: the controller of this cluster. */
export const SIGNER_NAME = 'trapline.io/ipsec-node';
/** Usages of a node certificate, in the words of certificates.k8s.io/v1, which has no word for IKE. */
export const USAGES: readonly string[] = ['digital signature', 'server auth', 'client auth'];

/** Makes a PKCS #10 request for `ipsec-<node>`, as subject and as DNS name; PEM. */
export async function createRequest(node: string, { key, publicKey, signing }: SigningKey): Promise<string> {
  const name = `ipsec-${node}`;
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: `CN=${name}`,
    keys: { privateKey: key, publicKey: await new x509.PublicKey(publicKey).export() },
    signingAlgorithm: signing,
    extensions: [new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: name }])],
  });
  return `${request.toString('pem')}\n`;
}
