import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { env as environment } from 'node:process';
import type { XfrmPolicy } from '../../../src/ipsec/plan/types.ts';
import { listPolicies, ownPolicies } from '../../../src/ipsec/xfrm/kernel.ts';
import type { NodeCache } from '../../../src/rundir/schema.ts';
import { writeNodeCache } from '../../../src/rundir/write.ts';
import type { Conflist, ExecPlugin, PluginOutput } from '../unit/cni.ts';
import { sorted } from '../unit/fake-kernel.ts';
import { ROOT } from '../unit/root.ts';
import { createNamespace, IP, type Namespace, withEnv } from './netns.ts';

const PLUGINS = '/usr/lib/cni';

/** A node in a throwaway namespace, with folders of its own, on which the real plugins run as a runtime starts them. */
export interface CniNode {
  readonly namespace: Namespace;
  readonly pod: Namespace;
  readonly runDir: string;
  readonly exec: ExecPlugin;
  readonly conflist: (cniVersion: string, trapline?: Readonly<Record<string, unknown>>) => Conflist;
  /** Our policies in the node's kernel, by key. */
  readonly policies: () => Promise<XfrmPolicy[]>;
  /** The arguments of every `ip` that trapline started, one line each. */
  readonly ipCalls: () => string[];
  readonly remove: () => Promise<void>;
}

/** Why the chain cannot run here; undefined if it can. */
export function chainUnavailable(): string | undefined {
  const missing = ['bridge', 'host-local'].find((name) => !existsSync(join(PLUGINS, name)));
  return missing && `${PLUGINS}/${missing} is missing (Debian package containernetworking-plugins)`;
}

/**
 * The executable: TRAPLINE_BIN, else what `make build` left. @throws Error if it is missing or older than its sources: nothing else is what a
 * runtime starts
 */
function executable(): string {
  const named = environment.TRAPLINE_BIN;
  const built = named ?? join(ROOT, 'pkg/dist/trapline');
  if (!existsSync(built)) {
    throw new Error(`${built} is missing: run make build`);
  }
  if (named === undefined && statSync(built).mtimeMs < newestSource()) {
    throw new Error(`${built} is older than its sources: run make build`);
  }
  return built;
}

function newestSource(): number {
  const folders = ['src/cni', 'src/rundir', 'src/ipsec', 'src/exec'].map((folder) => join(ROOT, folder));
  const files = folders.flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts') && !name.includes('dist') && !name.includes('node_modules'))
      .map((name) => join(folder, name)),
  );
  return Math.max(...files.map((file) => statSync(file).mtimeMs));
}

function script(path: string, line: string): string {
  writeFileSync(path, `#!/bin/sh\n${line}\n`);
  chmodSync(path, 0o755);
  return path;
}

interface DebianCall {
  readonly type: string;
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: string;
}

/** Debian's plugins end at 1.0.0; a result of 1.1.0 has the same shape (its new keys are optional), so the version is all that is put right. */
async function debianPlugin(namespace: Namespace, { type, env, stdin }: DebianCall): Promise<PluginOutput> {
  const newer = (JSON.parse(stdin) as { cniVersion: string }).cniVersion === '1.1.0';
  const swap = (text: string, from: string, to: string) =>
    newer ? text.replaceAll(new RegExp(`("cniVersion": ?)"${from}"`, 'g'), `$1"${to}"`) : text;
  const input = swap(stdin, '1.1.0', '1.0.0');
  const output = await namespace.run(withEnv({ file: join(PLUGINS, type), args: [], input }, env));
  return { ...output, stdout: swap(output.stdout, '1.0.0', '1.1.0') };
}

export async function createCniNode(cache: NodeCache | null): Promise<CniNode> {
  const folder = mkdtempSync(join(tmpdir(), 'trapline-chain-'));
  const runDir = join(folder, 'run');
  const calls = join(folder, 'ip.log');
  const countingIp = script(join(folder, 'ip'), `echo "$@" >> ${calls}\nexec ${IP} "$@"`);
  const trapline = executable();
  const namespace = await createNamespace('node');
  const pod = await createNamespace('pod');
  if (cache !== null) {
    writeNodeCache(runDir, cache);
  }
  return {
    namespace,
    pod,
    runDir,
    exec: (type, env, stdin) =>
      type === 'trapline'
        ? namespace.run(withEnv({ file: trapline, args: [], input: stdin }, env))
        : debianPlugin(namespace, { type, env, stdin }),
    conflist: (cniVersion, settings = {}) => ({
      cniVersion,
      name: 'pods',
      plugins: [
        {
          type: 'bridge',
          bridge: 'cni0',
          isGateway: true,
          ipam: {
            type: 'host-local',
            dataDir: join(folder, 'ipam'),
            ranges: [[{ subnet: '172.16.166.128/26' }], [{ subnet: 'fd00:1::/64' }]],
            routes: [{ dst: '0.0.0.0/0' }],
          },
        },
        { type: 'trapline', runDir, ip: countingIp, cacheWaitMs: 0, ...settings },
      ],
    }),
    policies: async () => sorted(ownPolicies(await listPolicies({ run: namespace.run, ip: IP }))),
    ipCalls: () => (existsSync(calls) ? readFileSync(calls, 'utf8').trim().split('\n') : []),
    remove: async () => {
      await pod.remove();
      await namespace.remove();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
