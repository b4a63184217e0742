import { existsSync } from 'node:fs';
import { deleteAttachment, readAttachment } from '../../rundir/attachments.ts';
import { attachmentPath } from '../../rundir/paths.ts';
import type { Call } from '../call.ts';
import { checkNetns, locked } from '../effects.ts';
import { detach } from '../lay.ts';

/**
 * CNI SPEC 1.1.0 DEL. It works from the record alone. It may come twice, or after a failed ADD, and needs no
 * namespace, no cache and no prevResult. A record that cannot be read is deleted: a retry would not mend it,
 * and the agent removes policies that the plan does not have.
 */
export async function del(call: Call): Promise<string> {
  const { config, variables } = call;
  checkNetns(variables, false);
  const { containerId, ifName } = variables;
  if (existsSync(attachmentPath(config.runDir, containerId, ifName))) {
    await locked(call, async () => {
      const current = readAttachment(config.runDir, containerId, ifName);
      if (current.kind === 'ok') {
        await detach(call, current.value);
      } else {
        deleteAttachment(config.runDir, variables);
      }
    });
  }
  return '';
}
