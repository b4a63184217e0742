import { statSync } from 'node:fs';
import { planAttachment } from '../../ipsec/plan/plan.ts';
import type { XfrmPolicy } from '../../ipsec/plan/types.ts';
import { checksum, plus } from '../../ipsec/xfrm/compare/checksum.ts';
import type { Attachment } from '../../rundir/attachment.ts';
import { attachmentFormat, attachmentNames } from '../../rundir/attachments.ts';
import { attachmentsDir } from '../../rundir/paths.ts';
import { type ReadResult, readJson } from '../../rundir/read.ts';
import type { NodeCache } from '../../rundir/schema.ts';

/** What is told by policies without keeping them: a pod can have thousands, and they can be planned again. */
export interface Digest {
  readonly count: number;
  readonly sum: number;
}

/** An attachment record as the agent remembers it. */
export interface KnownAttachment extends Omit<Attachment, 'policies'> {
  readonly laid: Digest;
}

export interface KnownAttachments {
  readonly records: readonly KnownAttachment[];
  /** A message for each record that cannot be read. */
  readonly problems: readonly string[];
}

export function digestOf(policies: readonly XfrmPolicy[]): Digest {
  return {
    count: policies.length,
    sum: policies.reduce((sum, policy) => plus(sum, checksum(policy)), 0),
  };
}

export function sameDigest(a: Digest, b: Digest): boolean {
  return a.count === b.count && a.sum === b.sum;
}

export function known({ policies, ...rest }: Attachment): KnownAttachment {
  return { ...rest, laid: digestOf(policies) };
}

/** The policies that records name: what one of the caches plans for them. Undefined if none does. Throws PlanError. */
export function policiesNamed(
  records: readonly KnownAttachment[],
  caches: readonly NodeCache[],
): XfrmPolicy[] | undefined {
  const found = records.map((record) => {
    for (const cache of caches) {
      const policies = planAttachment(cache, record);
      if (sameDigest(digestOf(policies), record.laid)) {
        return policies;
      }
    }
    return undefined;
  });
  return found.includes(undefined) ? undefined : found.flatMap((policies) => policies ?? []);
}

/** Reads all records; a file that is the same as in the call before is not read again: its record is the same object. */
export function createRecordReader(runDir: string): () => KnownAttachments {
  type Found = {
    readonly stamp: string;
    readonly record: KnownAttachment | undefined;
    readonly problem: string;
  };
  let before = new Map<string, Found>();
  return () => {
    const found = new Map(
      attachmentNames(runDir).map((name): [string, Found] => {
        const path = `${attachmentsDir(runDir)}/${name}`;
        const stamp = stampOf(path);
        const former = before.get(name);
        return [
          name,
          stamp !== '' && former?.stamp === stamp
            ? former
            : { stamp, ...knownOf(readJson(path, attachmentFormat)) },
        ];
      }),
    );
    before = found;
    const all = [...found.values()];
    return {
      records: all.flatMap(({ record }) => record ?? []),
      problems: all.flatMap(({ problem }) => (problem === '' ? [] : problem)),
    };
  };
}

function knownOf(read: ReadResult<Attachment>): { record: KnownAttachment | undefined; problem: string } {
  return {
    record: read.kind === 'ok' ? known(read.value) : undefined,
    problem: read.kind === 'ok' || read.kind === 'missing' ? '' : read.message,
  };
}

/** Records are never written in place: another content is another inode. Empty if there is no such file. */
function stampOf(path: string): string {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false });
  return found === undefined ? '' : `${found.ino} ${found.mtimeNs} ${found.size}`;
}
