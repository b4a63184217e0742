import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { type Attachment, attachmentSchema } from './attachment.ts';
import { attachmentPath, attachmentsDir } from './paths.ts';
import { formatOf, type ReadResult, readJson } from './read.ts';
import { writeFileAtomic } from './write.ts';

export const attachmentFormat = formatOf(attachmentSchema);

/**
 * All records, and a message for each file that cannot be read: one broken record does not hide the others.
 */
export interface Attachments {
  readonly records: readonly Attachment[];
  readonly problems: readonly string[];
}

export function readAttachment(runDir: string, containerId: string, ifName: string): ReadResult<Attachment> {
  return readJson(attachmentPath(runDir, containerId, ifName), attachmentFormat);
}

export function readAttachments(runDir: string): Attachments {
  const records: Attachment[] = [];
  const problems: string[] = [];
  for (const name of attachmentNames(runDir)) {
    const read = readJson(`${attachmentsDir(runDir)}/${name}`, attachmentFormat);
    if (read.kind === 'ok') {
      records.push(read.value);
    } else if (read.kind !== 'missing') {
      problems.push(read.message);
    }
  }
  return { records, problems };
}

/**
 * The records that ADD of an attachment replaces: an earlier one of the same attachment, and those that hold
 * one of its addresses. Every file is read, but only those that mention an address are parsed. A record that
 * cannot be read holds nothing.
 */
export function readHolders(
  runDir: string,
  { containerId, ifName, addresses }: Pick<Attachment, 'containerId' | 'ifName' | 'addresses'>,
): Attachment[] {
  const own = attachmentPath(runDir, containerId, ifName);
  const quoted = addresses.map((address) => JSON.stringify(address));
  return attachmentNames(runDir).flatMap((name) => {
    const path = `${attachmentsDir(runDir)}/${name}`;
    const text = path === own ? undefined : readText(path);
    if (text !== undefined && !quoted.some((address) => text.includes(address))) {
      return [];
    }
    const read = readJson(path, attachmentFormat);
    const holds =
      read.kind === 'ok' &&
      (path === own || read.value.addresses.some((address) => addresses.includes(address)));
    return holds ? [read.value] : [];
  });
}

/** Writes or replaces a record. Throws what the file system throws. */
export function writeAttachment(runDir: string, attachment: Attachment): void {
  const path = attachmentPath(runDir, attachment.containerId, attachment.ifName);
  writeFileAtomic(path, `${JSON.stringify(attachment)}\n`);
}

/** Deletes a record. It is no error if there is none. */
export function deleteAttachment(
  runDir: string,
  { containerId, ifName }: Pick<Attachment, 'containerId' | 'ifName'>,
): void {
  rmSync(attachmentPath(runDir, containerId, ifName), { force: true });
}

/** File names below `attachmentsDir`, sorted. Empty if there is no such folder. */
export function attachmentNames(runDir: string): string[] {
  try {
    return readdirSync(attachmentsDir(runDir))
      .filter((name) => name.endsWith('.json'))
      .sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      return [];
    }
    throw error;
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
