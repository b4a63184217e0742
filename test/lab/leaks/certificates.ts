import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { issueCertificates, type Lab } from '../nodes/lab.ts';

/** What certificates the first world has: paths below a lab's folder, and contents. */
let issued: readonly (readonly [string, Buffer])[] | undefined;

/** All worlds have the certificates of the first: the emulator takes most of a minute to issue some. */
export async function certify(lab: Lab): Promise<void> {
  const { base, cluster, nodes } = lab;
  if (cluster.kind === 'kubernetes') {
    return;
  }
  if (issued === undefined) {
    await issueCertificates(lab);
    const folders = ['ca', ...nodes.map(({ spec }) => join(spec.name, 'pki'))];
    issued = folders
      .flatMap((folder) => readdirSync(join(base, folder)).map((file) => join(folder, file)))
      .map((path) => [path, readFileSync(join(base, path))]);
    return;
  }
  for (const [path, content] of issued) {
    mkdirSync(dirname(join(base, path)), { recursive: true, mode: 0o700 });
    writeFileSync(join(base, path), content, { mode: 0o600 });
  }
}
