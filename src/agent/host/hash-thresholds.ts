import { existsSync, readFileSync, rmSync } from 'node:fs';
import * as z from 'zod';
import { familyOf } from '../../ip/family.ts';
import type { Iproute2 } from '../../ipsec/xfrm/iproute2.ts';
import type { NodeCache } from '../../rundir/schema.ts';
import { writeFileAtomic } from '../../rundir/write.ts';

/** Prefix lengths, local and remote, from which on the kernel finds a policy by a hash. */
const thresholdsSchema = z.object({ local: z.number(), remote: z.number() });
const savedSchema = z.partialRecord(
  z.enum(['4', '6']),
  z.object({ found: thresholdsSchema, set: thresholdsSchema }),
);
type Thresholds = z.infer<typeof thresholdsSchema>;
type Saved = z.infer<typeof savedSchema>;

/**
 * The shortest remote prefix lengths that are set. With a shorter one too many policies would have the same
 * hash, and it is better to hash none of them.
 */
const LEAST = { 4: 16, 6: 40 } as const;
const HOST = { 4: 32, 6: 128 } as const;

const savedPath = (runDir: string): string => `${runDir}/hthresh.json`;

/** The kernel does not tell its thresholds, or does not take ours. */
export class ThresholdError extends Error {
  override readonly name = 'ThresholdError';
}

/**
 * The thresholds that this node should have; undefined: leave them as they are. Local is the length of a host
 * address, remote the shortest pod CIDR of a peer. Then the policies of protected pods, which are most of
 * ours (one for each pod, port and peer), are found by a hash, with a few policies behind each. By default
 * the kernel hashes only policies between two host addresses: every packet searches a tree of all others, and
 * each change or deletion of one walks that tree. A shorter local prefix would put all pods of the node
 * behind one hash.
 */
export function planThresholds({ peers }: Pick<NodeCache, 'peers'>, family: 4 | 6): Thresholds | undefined {
  const bits = peers
    .flatMap(({ podCidrs }) => podCidrs)
    .filter((cidr) => familyOf(cidr) === family)
    .map((cidr) => Number(cidr.split('/')[1]));
  const remote = Math.min(...bits);
  return bits.length === 0 || remote < LEAST[family] ? undefined : { local: HOST[family], remote };
}

/**
 * Sets the thresholds that differ, and writes down what it found for `restoreThresholds`. Throws
 * ThresholdError, RunError.
 */
export async function keepThresholds(
  iproute2: Iproute2,
  { runDir, cache }: { readonly runDir: string; readonly cache: Pick<NodeCache, 'peers'> },
): Promise<void> {
  const wanted = ([4, 6] as const).flatMap((family) => {
    const set = planThresholds(cache, family);
    return set === undefined ? [] : [{ family, set }];
  });
  const found = wanted.length === 0 ? undefined : await readThresholds(iproute2);
  for (const { family, set } of wanted) {
    const present = found?.[family];
    if (present !== undefined && (present.local !== set.local || present.remote !== set.remote)) {
      const saved = readSaved(runDir);
      const before = saved[family]?.found ?? present;
      writeFileAtomic(
        savedPath(runDir),
        `${JSON.stringify({ ...saved, [family]: { found: before, set } })}\n`,
      );
      await setThresholds(iproute2, family, set);
    }
  }
}

/**
 * Puts back what `keepThresholds` changed, unless somebody else has set another value since. Throws
 * ThresholdError, RunError.
 */
export async function restoreThresholds(iproute2: Iproute2, runDir: string): Promise<void> {
  const saved = readSaved(runDir);
  const present = Object.keys(saved).length === 0 ? undefined : await readThresholds(iproute2);
  for (const family of [4, 6] as const) {
    const ours = saved[family];
    const now = present?.[family];
    if (ours !== undefined && now?.local === ours.set.local && now.remote === ours.set.remote) {
      await setThresholds(iproute2, family, ours.found);
    }
  }
  rmSync(savedPath(runDir), { force: true });
}

function readSaved(runDir: string): Saved {
  const path = savedPath(runDir);
  return existsSync(path) ? savedSchema.parse(JSON.parse(readFileSync(path, 'utf8'))) : {};
}

async function readThresholds(iproute2: Iproute2): Promise<Partial<Record<4 | 6, Thresholds>>> {
  const text = await ip(iproute2, ['-s', '-s', 'xfrm', 'policy', 'count']);
  const found = [...text.matchAll(/IPv([46]) thresholds: local (\d+) remote (\d+)/g)];
  return Object.fromEntries(
    found.map(([, family, local, remote]) => [family, { local: Number(local), remote: Number(remote) }]),
  );
}

async function setThresholds(
  iproute2: Iproute2,
  family: 4 | 6,
  { local, remote }: Thresholds,
): Promise<void> {
  await ip(iproute2, ['xfrm', 'policy', 'set', `hthresh${family}`, String(local), String(remote)]);
}

async function ip({ run, ip: file }: Iproute2, args: readonly string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await run({ file, args });
  if (exitCode !== 0) {
    throw new ThresholdError(`ip ${args.join(' ')}: ${stderr.trim()}`);
  }
  return stdout;
}
