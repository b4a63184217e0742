import { HEARTBEAT_STALE_MS } from '../../rundir/heartbeat.ts';
import { readHeartbeat, readNodeCache } from '../../rundir/read.ts';
import type { Call } from '../call.ts';
import { CniError, CODE } from '../error.ts';

/**
 * CNI SPEC 1.1.0 STATUS: prints nothing if an ADD would work. Otherwise throws CniError 50, which says why
 * not. It reads two files and starts no process.
 */
export async function status({ config, deps }: Call): Promise<string> {
  const cache = readNodeCache(config.runDir);
  if (cache.kind !== 'ok') {
    throw new CniError(CODE.notAvailable, `node cache: ${cache.message}`);
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
  const silence = deps.now() - heartbeat.value.at;
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
