import { statSync } from 'node:fs';
import type { Attachment } from '../../cache/attachment.ts';
import { deleteAttachment, writeAttachment } from '../../cache/attachments.ts';
import { cachePath } from '../../cache/paths.ts';
import { readNodeCache } from '../../cache/read.ts';
import type { NodeCache } from '../../cache/schema.ts';
import { planAttachment } from '../../ipsec/plan.ts';
import type { XfrmPolicy } from '../../ipsec/types.ts';
import { addPolicies } from '../../ipsec/xfrm/apply.ts';
import type { Call } from '../call.ts';
import { checkNetns, iproute2Of, locked } from '../effects.ts';
import { CniError, CODE } from '../error.ts';
import { attachedAddresses } from '../prev-result.ts';

const POLL_MS = 20;

type PodName = NonNullable<Attachment['pod']>;

/**
 * CNI SPEC 1.1.0 ADD. When it returns, the policies of the pod are in the kernel, or the call failed and nothing is left of it. Prints
 * prevResult as it came.
 */
export async function add(call: Call): Promise<string> {
  const { config, variables } = call;
  checkNetns(variables.netns, true);
  const addresses = attachedAddresses(config.prevResult, variables.ifName);
  const pod = podName(variables.args);
  if (pod !== null) {
    await attach(call, addresses, pod);
  }
  return JSON.stringify({ ...config.prevResult, cniVersion: config.cniVersion });
}

/** The pod that CNI_ARGS name; null if the runtime names none: then there is nothing to protect. */
function podName(args: ReadonlyMap<string, string>): PodName | null {
  const name = args.get('K8S_POD_NAME') ?? '';
  if (name === '') {
    return null;
  }
  const namespace = args.get('K8S_POD_NAMESPACE') ?? '';
  if (namespace === '') {
    throw new CniError(
      CODE.badEnvironment,
      `CNI_ARGS: K8S_POD_NAME is ${JSON.stringify(name)}, but K8S_POD_NAMESPACE is missing`,
    );
  }
  return { namespace, name, uid: args.get('K8S_POD_UID') ?? '' };
}

/** Waits for the pod to appear in the cache, not holding the lock meanwhile, and lays what the plan says. */
async function attach(call: Call, addresses: string[], pod: PodName): Promise<void> {
  const { config, deps } = call;
  const deadline = deps.now() + config.cacheWaitMs;
  for (;;) {
    const seen = stampOf(cachePath(config.runDir));
    const miss = await locked(call, () => tryAttach(call, addresses, pod));
    if (miss === undefined) {
      return;
    }
    if (deps.now() >= deadline) {
      await missed(call, { addresses, pod, miss });
      return;
    }
    do {
      await deps.sleep(POLL_MS);
    } while (deps.now() < deadline && stampOf(cachePath(config.runDir)) === seen);
  }
}

/** Returns why the cache does not know the pod, or undefined when all is laid. */
async function tryAttach(call: Call, addresses: string[], pod: PodName): Promise<string | undefined> {
  const read = readNodeCache(call.config.runDir);
  switch (read.kind) {
    case 'missing':
      return read.message;
    case 'unreadable':
      throw new CniError(CODE.io, `node cache: ${read.message}`);
    case 'invalid':
      throw new CniError(CODE.decode, `node cache: ${read.message}`);
    case 'ok':
  }
  if (!knowsPod(read.value, pod)) {
    return `pod ${pod.namespace}/${pod.name} is not in ${cachePath(call.config.runDir)}`;
  }
  await lay(call, recordOf(call, addresses, pod), planAttachment(read.value, { pod, addresses }));
  return undefined;
}

/** Another uid is an earlier pod of the same name: the cache is behind. */
function knowsPod(cache: NodeCache, pod: PodName): boolean {
  return cache.pods.some(
    ({ namespace, name, uid }) =>
      namespace === pod.namespace && name === pod.name && (pod.uid === '' || uid === '' || uid === pod.uid),
  );
}

/** The record first: whoever dies between the two leaves a record of what may be in the kernel, never policies without one. */
async function lay(call: Call, record: Attachment, policies: readonly XfrmPolicy[]): Promise<void> {
  writeAttachment(call.config.runDir, { ...record, policies: [...policies] });
  if (policies.length === 0) {
    return;
  }
  try {
    await addPolicies(iproute2Of(call), policies);
  } catch (error) {
    deleteAttachment(call.config.runDir, record);
    throw error;
  }
}

interface Missed {
  readonly addresses: string[];
  readonly pod: PodName;
  readonly miss: string;
}

/** `onCacheMiss: pass` still leaves a record: the agent lays the policies once it knows the pod. */
async function missed(call: Call, { addresses, pod, miss }: Missed): Promise<void> {
  const { onCacheMiss, cacheWaitMs } = call.config;
  if (onCacheMiss === 'fail') {
    throw new CniError(
      CODE.tryAgainLater,
      `${miss} after ${cacheWaitMs} ms; is trapline-agent running and its source in sync?`,
    );
  }
  await locked(call, () => lay(call, recordOf(call, addresses, pod), []));
}

function recordOf({ config, variables, deps }: Call, addresses: string[], pod: PodName): Attachment {
  return {
    schema: 1,
    containerId: variables.containerId,
    ifName: variables.ifName,
    netns: variables.netns,
    network: config.name,
    pod,
    addresses,
    createdAt: deps.now(),
    policies: [],
  };
}

/** Changes whenever the file is replaced. */
function stampOf(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat === undefined ? '' : `${stat.ino} ${stat.mtimeMs}`;
}
