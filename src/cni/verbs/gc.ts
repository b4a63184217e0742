import { readAttachments } from '../../rundir/attachments.ts';
import type { Call } from '../call.ts';
import { locked, toCniError } from '../effects.ts';
import { CniError, CODE } from '../error.ts';
import { detach } from '../lay.ts';

const KEY = 'cni.dev/valid-attachments';

/**
 * CNI SPEC 1.1.0 GC: removes the attachments of this network that the runtime does not list. An empty list
 * means that none is valid. A missing list is an error, since to remove all policies silently would fail
 * open. An attachment that cannot be removed does not keep GC from the others. Throws CniError 7 and 5.
 */
export async function gc(call: Call): Promise<string> {
  const { config } = call;
  const valid = config[KEY];
  if (valid === undefined || valid === null) {
    throw new CniError(
      CODE.invalidConfig,
      `${KEY}: ${valid === null ? 'null' : 'missing'}; an empty list would mean all`,
    );
  }
  const keep = new Set(valid.map(({ containerID, ifname }) => `${containerID} ${ifname}`));
  const failures = await locked(call, async () => {
    const { records, problems } = readAttachments(config.runDir);
    const failed = [...problems];
    const stale = records.filter(
      ({ network, containerId, ifName }) => network === config.name && !keep.has(`${containerId} ${ifName}`),
    );
    for (const record of stale) {
      try {
        await detach(call, record);
      } catch (error) {
        failed.push(`${record.containerId} ${record.ifName}: ${toCniError(error).message}`);
      }
    }
    return failed;
  });
  if (failures.length > 0) {
    throw new CniError(CODE.io, `${failures.length} attachments could not be collected`, failures.join('; '));
  }
  return '';
}
