import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { unguardedPath } from '../../../src/rundir/paths.ts';
import type { Namespace } from './netns.ts';

const RUNNING = join(import.meta.dirname, 'hairpin-running.ts');
const NFT = '/usr/sbin/nft';

/** The agent's keeper of the hairpin, running in a namespace. */
export interface Keeper {
  /** What it said so far. */
  readonly lines: () => readonly string[];
  /** Why the node is unguarded; undefined if it is guarded. */
  readonly unguarded: () => string | undefined;
  /** nft refuses every input that has this text in it; empty: none. */
  readonly refuse: (text: string) => void;
  /** Process id of its `nft monitor`. */
  readonly monitor: () => string | undefined;
  /** Ends it and returns the CPU that it took since its first look, and that its children took; milliseconds. */
  readonly end: () => Promise<{ readonly own: number; readonly children: number }>;
}

/** Starts a keeper for a peer with these pod CIDRs, udp/53 protected. It ends with the test. */
export function startKeeper(
  t: ExecutionContext,
  { path }: Namespace,
  podCidrs: readonly string[],
  refused = '',
): Keeper {
  const runDir = mkdtempSync(join(tmpdir(), 'trapline-keeper-'));
  t.teardown(() => rmSync(runDir, { recursive: true, force: true }));
  const refusing = join(runDir, 'refused');
  writeFileSync(refusing, refused);
  const nft = join(runDir, 'nft');
  writeFileSync(
    nft,
    `#!/bin/sh
case " $* " in *" -f - "*) ;; *) exec ${NFT} "$@";; esac
input=$(cat); refused=$(cat ${refusing})
if [ -n "$refused" ]; then case "$input" in *"$refused"*) echo refused >&2; exit 1;; esac; fi
printf '%s\\n' "$input" | ${NFT} "$@"
`,
    { mode: 0o755 },
  );
  const child = spawn('/usr/bin/nsenter', [
    `--net=${path}`,
    process.execPath,
    RUNNING,
    runDir,
    nft,
    ...podCidrs,
  ]);
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
  }
  const ended = once(child, 'close');
  t.teardown(async () => {
    child.stdin.end();
    await ended;
  });
  const lines = (): string[] => said.split('\n').slice(0, -1);
  return {
    lines,
    unguarded: () => {
      const file = unguardedPath(runDir);
      return existsSync(file) ? readFileSync(file, 'utf8').trim() : undefined;
    },
    refuse: (text) => writeFileSync(refusing, text),
    monitor: () =>
      readdirSync('/proc')
        .filter((name) => /^\d+$/.test(name))
        .find((name) => {
          try {
            const [, parent = ''] =
              readFileSync(`/proc/${name}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
            const line = readFileSync(`/proc/${name}/cmdline`, 'utf8');
            return Number(parent) === child.pid && line.includes('nft\0monitor');
          } catch {
            return false;
          }
        }),
    end: async () => {
      child.stdin.end();
      await ended;
      const [, own, children] = lines().at(-1)?.split(' ') ?? [];
      return { own: Number(own), children: Number(children) };
    },
  };
}
