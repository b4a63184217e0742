import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { initCa, issueNode } from '../../../src/pki/ca.ts';

export interface PkiFolder {
  readonly ca: string;
  readonly node: string;
}

/** A CA and the pair of node `worker-0`, made at `now`; gone when the test ends. */
export async function pkiFolder(t: ExecutionContext, now = new Date()): Promise<PkiFolder> {
  const base = mkdtempSync(join(tmpdir(), 'pki-'));
  t.teardown(() => rmSync(base, { recursive: true, force: true }));
  const folders = { ca: join(base, 'ca'), node: join(base, 'node') };
  await initCa(folders.ca, { days: 10, now });
  await issueNode({
    caFolder: folders.ca,
    node: 'worker-0',
    outFolder: folders.node,
    keyType: 'ecdsa-p256',
    days: 5,
    now,
  });
  return folders;
}
