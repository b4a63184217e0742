/**
 * One file for each verb of the plugin. A verb gets a checked `Call` and resolves to its text for stdout, or
 * throws an error that `toCniError` understands. It may import what `src/cni` may, but no other verb.
 */
import { planAttachment } from '../../ipsec/plan/plan.ts';
import type { XfrmPolicy } from '../../ipsec/plan/types.ts';
import type { Attachment } from '../../rundir/attachment.ts';
import { isUnguarded, notEnforced, whyUnguarded } from '../../rundir/gate.ts';
import { cachePath } from '../../rundir/paths.ts';
import { readNodeCache } from '../../rundir/read.ts';
import type { NodeCache } from '../../rundir/schema.ts';
import { stampOf } from '../../util/stamp.ts';
import type { Call } from '../call.ts';
import { checkNetns, locked } from '../effects.ts';
import { CniError, CODE } from '../error.ts';
import { lay } from '../lay.ts';
import { attachedAddresses } from '../prev-result.ts';

/** How often ADD looks whether the cache has changed. */
const POLL_MS = 20;

type PodName = NonNullable<Attachment['pod']>;

/**
 * CNI SPEC 1.1.0 ADD. When it returns, the policies of the pod are in the kernel. When it throws, nothing is
 * left of the call, except what could not be undone: the record keeps that for DEL. Prints prevResult as it
 * came.
 */
export async function add(call: Call): Promise<string> {
  const { config, variables } = call;
  checkNetns(variables, true);
  const addresses = attachedAddresses(config.prevResult, variables.ifName);
  const pod = podName(variables.args);
  if (pod !== null) {
    await attach(call, recordOf(call, addresses, pod), pod);
  }
  return JSON.stringify({ ...config.prevResult, cniVersion: config.cniVersion });
}

/**
 * The pod that CNI_ARGS name. Null if the runtime names none: then there is nothing to protect. Throws
 * CniError 4.
 */
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

/**
 * Waits, without the lock, until this node enforces and the pod is in the cache, then lays what the plan
 * says. Throws CniError 11 if that is not so in time. `onCacheMiss: pass` is for a pod that the cache lacks
 * alone: what such a pod sends meets the policies of whole pod CIDRs. Where nothing is enforced there are
 * none, so nothing passes.
 */
async function attach(call: Call, record: Attachment, pod: PodName): Promise<void> {
  const { config, deps } = call;
  const deadline = deps.uptime() + config.cacheWaitMs;
  for (;;) {
    const path = cachePath(config.runDir);
    const seen = stampOf(path);
    const last = deps.uptime() >= deadline;
    // Many calls may run at once. Each decides by itself, without the lock, and under the lock only checks
    // that the cache is still the same.
    const early = decide(config.runDir, pod, record.addresses);
    const unguarded = isUnguarded(config.runDir);
    const wait = await locked(call, async () => {
      const decision = stampOf(path) === seen ? early : decide(config.runDir, pod, record.addresses);
      if (decision.kind === 'closed') {
        return decision.why;
      }
      if (isUnguarded(config.runDir)) {
        return whyUnguarded(config.runDir);
      }
      if (decision.kind === 'miss' && !(last && config.onCacheMiss === 'pass')) {
        return decision.why;
      }
      // A pod that is let pass still leaves a record: the agent lays its policies once the cache has the pod.
      await lay(call, { ...record, policies: decision.kind === 'policies' ? decision.policies : [] });
      return undefined;
    });
    if (wait === undefined) {
      return;
    }
    if (last) {
      throw new CniError(
        CODE.tryAgainLater,
        `${wait} after ${config.cacheWaitMs} ms; is trapline-agent running and its source in sync?`,
      );
    }
    do {
      await deps.sleep(POLL_MS);
    } while (deps.uptime() < deadline && stampOf(path) === seen && isUnguarded(config.runDir) === unguarded);
  }
}

/** `miss`: the cache lacks the pod. `closed`: nothing is enforced on this node. */
type Decision =
  | { readonly kind: 'policies'; readonly policies: XfrmPolicy[] }
  | { readonly kind: 'miss' | 'closed'; readonly why: string };

/** What the plan makes of the cache for a pod. Throws CniError 5, 6, and PlanError. */
function decide(runDir: string, pod: PodName, addresses: string[]): Decision {
  const read = readNodeCache(runDir);
  switch (read.kind) {
    case 'missing':
      return { kind: 'closed', why: `node cache: ${read.message}` };
    case 'unreadable':
      throw new CniError(CODE.io, `node cache: ${read.message}`);
    case 'invalid':
      throw new CniError(CODE.decode, `node cache: ${read.message}`);
    case 'ok':
  }
  const why = notEnforced(runDir, read.value);
  if (why !== '') {
    return { kind: 'closed', why };
  }
  if (!knowsPod(read.value, pod)) {
    return { kind: 'miss', why: `pod ${pod.namespace}/${pod.name} is not in ${cachePath(runDir)}` };
  }
  return { kind: 'policies', policies: planAttachment(read.value, { pod, addresses }) };
}

/** A pod of the same name with another uid is an earlier one: the cache is behind. */
function knowsPod(cache: NodeCache, pod: PodName): boolean {
  return cache.pods.some(
    ({ namespace, name, uid }) =>
      namespace === pod.namespace && name === pod.name && (pod.uid === '' || uid === '' || uid === pod.uid),
  );
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
