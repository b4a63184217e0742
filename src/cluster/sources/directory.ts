/**
 * Where the objects of the cluster come from: a folder of manifests (here), or the API server (`kubernetes`).
 * Both implement `Source`, parse objects with the same schemas (`parse-file.ts`), and keep what an object
 * said before when it cannot be read any more. This room reads files or, through a client that is passed in,
 * the API server; it writes nothing, and knows nothing of agent or controller.
 */

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { steadyClock } from '../../util/steady-clock.ts';
import { createWake } from '../../util/wake.ts';
import { watchFolder } from '../../util/watch-folder.ts';
import type { Snapshot, Source } from '../snapshot.ts';
import { assemble } from './assemble.ts';
import { keeping, type ParsedFile, parseFile } from './parse-file.ts';

/** An editor or `kubectl` changes a file in several steps: it is read this long after the first. */
const BURST_MS = 50;
/** How soon a change is found that inotify misses (overflow, a mount over the folder). */
const POLL_MS = 5_000;
/** A folder that is suddenly empty is believed to be so after this time: its contents may be on their way. */
const EMPTY_MS = 10 * 60_000;

/** The folder of manifests cannot be read at the start. */
export class SourceError extends Error {
  override readonly name = 'SourceError';
}

/**
 * Kubernetes manifests in a folder (`*.yaml`, `*.yml`, `*.json`; several documents to a file; Lists),
 * watched. A file that cannot be read or parsed any more keeps what it said before, and is reported; so do
 * all files of a folder that is suddenly empty, for a while. A single file that is removed is seen to go.
 * `watch` throws SourceError at the start if there is no such folder.
 */
export function directorySource(folder: string, now: () => number = steadyClock()): Source {
  return {
    async *watch(signal) {
      const files = new Map<string, ParsedFile>();
      const wake = createWake();
      let empty: number | undefined;
      const read = (): string | undefined => {
        const believed = empty !== undefined && now() - empty >= EMPTY_MS;
        const found = refresh(folder, files, believed);
        empty = found === EMPTY ? (empty ?? now()) : undefined;
        return found;
      };
      let problem = read();
      if (problem !== undefined) {
        throw new SourceError(problem);
      }
      watchFolder(folder, wake.notify, signal);
      let told = '';
      while (!signal.aborted) {
        const snapshot: Snapshot = assemble(
          files,
          problem === undefined ? [] : [{ where: folder, message: problem }],
        );
        const text = JSON.stringify(snapshot);
        if (text !== told) {
          told = text;
          yield snapshot;
        }
        await wake.wait(POLL_MS, signal);
        await new Promise((resolve) => setTimeout(resolve, BURST_MS));
        problem = read();
      }
    },
  };
}

const EMPTY = `has no manifest any more: what its files said stays in force for ${EMPTY_MS / 60_000} minutes`;

/**
 * Reads the files that have changed. If the folder cannot be read, or is suddenly empty and that is not
 * believed yet, returns why, and leaves `files` as they are.
 */
function refresh(folder: string, files: Map<string, ParsedFile>, believed: boolean): string | undefined {
  let names: string[];
  try {
    names = readdirSync(folder).filter((name) => /^[^.].*\.(ya?ml|json)$/.test(name));
  } catch (error) {
    return (error as Error).message;
  }
  if (names.length === 0 && files.size > 0 && !believed) {
    return EMPTY;
  }
  for (const gone of [...files.keys()].filter((name) => !names.includes(name))) {
    files.delete(gone);
  }
  for (const name of names) {
    readOne(`${folder}/${name}`, name, files);
  }
  return undefined;
}

function readOne(path: string, name: string, files: Map<string, ParsedFile>): void {
  const before = files.get(name);
  try {
    const { ino, size, mtimeMs, ctimeMs } = statSync(path);
    const stamp = `${ino} ${size} ${mtimeMs} ${ctimeMs}`;
    if (before?.stamp !== stamp) {
      files.set(name, parseFile(name, stamp, readFileSync(path, 'utf8'), before));
    }
  } catch (error) {
    const problem = {
      where: name,
      message: `${(error as Error).message}; what it said before stays in force`,
    };
    files.set(name, { ...keeping(before), stamp: '', problems: [problem] });
  }
}
