import { planAttachment } from '../../ipsec/plan/plan.ts';
import type { XfrmPolicy } from '../../ipsec/plan/types.ts';
import { checksum, plus } from '../../ipsec/xfrm/compare/checksum.ts';
import type { Attachment } from '../../rundir/attachment.ts';
import { attachmentFormat, attachmentNames } from '../../rundir/attachments.ts';
import { attachmentsDir } from '../../rundir/paths.ts';
import { type ReadResult, readJson } from '../../rundir/read.ts';
import type { NodeCache } from '../../rundir/schema.ts';
import { stampOf } from '../../util/stamp.ts';

/**
 * Tells a list of policies from another without keeping either: a pod can have thousands of them, and they
 * can be planned again.
 */
export interface Digest {
  readonly count: number;
  readonly sum: number;
}

/** An attachment record as the agent remembers it. */
export interface RememberedRecord extends Omit<Attachment, 'policies'> {
  /** Of the policies that the record names. */
  readonly digest: Digest;
}

export interface RememberedRecords {
  readonly records: readonly RememberedRecord[];
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

export function remembered({ policies, ...rest }: Attachment): RememberedRecord {
  return { ...rest, digest: digestOf(policies) };
}

/**
 * The policies that records name, planned again from one of the caches. Undefined if a record names others
 * than any of the caches plans. Throws PlanError.
 */
export function policiesNamed(
  records: readonly RememberedRecord[],
  caches: readonly NodeCache[],
): XfrmPolicy[] | undefined {
  const found = records.map((record) => {
    for (const cache of caches) {
      const policies = planAttachment(cache, record);
      if (sameDigest(digestOf(policies), record.digest)) {
        return policies;
      }
    }
    return undefined;
  });
  return found.includes(undefined) ? undefined : found.flatMap((policies) => policies ?? []);
}

/**
 * Makes a function that reads all records. A file that is the same as in the call before is not read again,
 * and its record is the same object.
 */
export function createRecordReader(runDir: string): () => RememberedRecords {
  type Found = {
    readonly stamp: string;
    readonly record: RememberedRecord | undefined;
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
            : { stamp, ...foundIn(readJson(path, attachmentFormat)) },
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

function foundIn(read: ReadResult<Attachment>): { record: RememberedRecord | undefined; problem: string } {
  return {
    record: read.kind === 'ok' ? remembered(read.value) : undefined,
    problem: read.kind === 'ok' || read.kind === 'missing' ? '' : read.message,
  };
}
