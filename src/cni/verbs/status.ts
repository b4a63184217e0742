import { isUnguarded, notEnforced, whyUnguarded } from '../../rundir/gate.ts';
import { HEARTBEAT_STALE_MS, silenceOf } from '../../rundir/heartbeat.ts';
import { readHeartbeat, readNodeCache } from '../../rundir/read.ts';
import type { Call } from '../call.ts';
import { CniError, CODE } from '../error.ts';

/**
 * CNI SPEC 1.1.0 STATUS: prints nothing if an ADD would work. Otherwise throws CniError 50, which says why
 * not. It reads three small files and the cache, and starts no process.
 */
export async function status({ config, deps }: Call): Promise<string> {
  const cache = readNodeCache(config.runDir);
  if (cache.kind !== 'ok') {
    throw new CniError(CODE.notAvailable, `node cache: ${cache.message}`);
  }
  const closed = notEnforced(config.runDir, cache.value);
  if (closed !== '') {
    throw new CniError(CODE.notAvailable, closed);
  }
  if (isUnguarded(config.runDir)) {
    throw new CniError(CODE.notAvailable, whyUnguarded(config.runDir));
  }
  const age = deps.now() - cache.value.writtenAt;
  if (age > config.cacheMaxAgeMs) {
    throw new CniError(
      CODE.notAvailable,
      `node cache: ${Math.round(age / 1000)} s old, more than cacheMaxAgeMs ${config.cacheMaxAgeMs}`,
    );
  }
  const heartbeat = readHeartbeat(config.runDir);
  if (heartbeat.kind !== 'ok') {
    throw new CniError(CODE.notAvailable, `trapline-agent is not alive: ${heartbeat.message}`);
  }
  const silence = silenceOf(heartbeat.value, { now: deps.now(), uptime: deps.uptime() });
  if (silence > HEARTBEAT_STALE_MS) {
    throw new CniError(
      CODE.notAvailable,
      `trapline-agent is not alive: silent for ${Math.round(silence / 1000)} s`,
    );
  }
  if (heartbeat.value.charonError !== '') {
    throw new CniError(CODE.notAvailable, `charon is not reachable: ${heartbeat.value.charonError}`);
  }
  return '';
}
