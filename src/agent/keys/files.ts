import type { Logger } from 'pino';
import type { NodeIdentity } from '../../pki/identity.ts';
import { type Keys, sameIdentity } from './keys.ts';
import { identityReader } from './reader.ts';

export interface FileKeysOptions {
  readonly folder: string;
  readonly nodeName: string;
  readonly now: () => number;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly log: Logger;
}

const LOOK_MS = 5_000;

/**
 * Takes key and certificate from a folder that somebody else fills. New files are taken as soon as they fit
 * together.
 */
export function fileKeys({ folder, nodeName, now, sleep, log }: FileKeysOptions): Keys {
  const identity = identityReader(folder, nodeName, now);
  return {
    identity,
    async run(onChange, signal) {
      let taken: NodeIdentity | undefined;
      let said = '';
      while (!signal.aborted) {
        try {
          const found = await identity();
          if (!sameIdentity(taken, found)) {
            taken = found;
            onChange(found);
          }
          said = '';
        } catch (error) {
          const { message } = error as Error;
          if (message !== said) {
            log.warn({ problem: message }, 'key and certificate not taken');
            said = message;
          }
        }
        await sleep(LOOK_MS, signal);
      }
    },
  };
}
