import { existsSync } from 'node:fs';
import test from 'ava';
import { run } from '../../src/exec/execa.ts';
import { pkiFolder } from '../helpers/unit/pki-folder.ts';

const OPENSSL = '/usr/bin/openssl';
const onOpenssl = existsSync(OPENSSL) ? test : test.skip;

onOpenssl('openssl verifies the chain, strictly, as server and as client', async (t) => {
  const { ca, node } = await pkiFolder(t);
  for (const purpose of ['sslserver', 'sslclient']) {
    const args = [
      'verify',
      '-x509_strict',
      '-purpose',
      purpose,
      '-CAfile',
      `${ca}/ca.crt`,
      `${node}/node.crt`,
    ];
    const { exitCode, stdout, stderr } = await run({ file: OPENSSL, args });
    t.is(exitCode, 0, `${stdout}${stderr}`);
  }
});

onOpenssl('openssl refuses the certificate under another CA of the same name', async (t) => {
  const [one, other] = [await pkiFolder(t), await pkiFolder(t)];
  const args = ['verify', '-CAfile', `${other.ca}/ca.crt`, `${one.node}/node.crt`];
  t.not((await run({ file: OPENSSL, args })).exitCode, 0);
});

onOpenssl('openssl reads the extensions', async (t) => {
  const { node } = await pkiFolder(t);
  const args = ['x509', '-in', `${node}/node.crt`, '-noout', '-text'];
  const { stdout } = await run({ file: OPENSSL, args });
  for (const expected of ['CN = ?ipsec-worker-0', 'DNS:ipsec-worker-0', 'CA:FALSE', 'ASN1 OID: prime256v1']) {
    t.regex(stdout, new RegExp(expected));
  }
});
