import { existsSync, statSync } from 'node:fs';
import { PlanError } from '../ipsec/plan/plan.ts';
import { XfrmError } from '../ipsec/xfrm/error.ts';
import type { Iproute2 } from '../ipsec/xfrm/iproute2.ts';
import { LockError, withLock } from '../rundir/lock/lock.ts';
import type { Call } from './call.ts';
import type { CallVariables } from './environment.ts';
import { CniError, CODE } from './error.ts';

const IP_PATHS = ['/usr/sbin/ip', '/sbin/ip', '/usr/bin/ip', '/bin/ip'];

/** The `ip` that the configuration names or the system has. Throws CniError 100 if there is none. */
export function iproute2Of({ config, deps }: Call): Iproute2 {
  const ip = config.ip ?? IP_PATHS.find((path) => existsSync(path));
  if (ip === undefined) {
    throw new CniError(CODE.xfrm, `iproute2 is missing: none of ${IP_PATHS.join(', ')}`);
  }
  return { run: deps.run, ip };
}

/**
 * Runs an action under the node's lock. Throws CniError 11 (through toCniError) if the lock is not free in
 * time.
 */
export function locked<T>({ config, deps }: Call, action: () => Promise<T>): Promise<T> {
  const { uptime, sleep } = deps;
  return withLock(config.runDir, { timeoutMs: config.lockWaitMs, uptime, sleep }, action);
}

/**
 * ADD, DEL and CHECK work on a container's network namespace. Throws CniError 8 if it is the node's own
 * (libcni's code), unless CNI_NETNS_OVERRIDE allows that, and 4 if it is missing and `mustExist`: ADD and
 * CHECK need it, DEL does not.
 */
export function checkNetns({ netns, netnsOverride }: CallVariables, mustExist: boolean): void {
  const own = statSync('/proc/self/ns/net');
  const other = netns === '' ? undefined : statSync(netns, { throwIfNoEntry: false });
  if (other === undefined) {
    if (mustExist) {
      throw new CniError(CODE.badEnvironment, `CNI_NETNS: ${JSON.stringify(netns)} is not there`);
    }
  } else if (!netnsOverride && other.ino === own.ino && other.dev === own.dev) {
    throw new CniError(
      CODE.hostNetns,
      `CNI_NETNS: ${JSON.stringify(netns)} is the network namespace of the host`,
    );
  }
}

/**
 * Turns any error into the one that the runtime gets. An error of the operating system is 5; any other that
 * is of no class of ours is a defect (199).
 */
export function toCniError(error: unknown): CniError {
  if (error instanceof CniError) {
    return error;
  }
  if (error instanceof LockError) {
    return new CniError(CODE.tryAgainLater, error.message);
  }
  if (error instanceof PlanError) {
    return new CniError(CODE.badCache, error.message);
  }
  if (error instanceof XfrmError) {
    return new CniError(error.failure.reason === 'conflict' ? CODE.conflict : CODE.xfrm, error.message);
  }
  const { message, code, syscall } = error as NodeJS.ErrnoException;
  return code !== undefined && syscall !== undefined
    ? new CniError(CODE.io, message)
    : new CniError(CODE.internal, `defect in trapline: ${message}`, (error as Error).stack ?? '');
}
