import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { IPAM_NAME } from '../../../src/ipam/name.ts';
import { ROOT } from '../unit/root.ts';

export const HOST_LOCAL = '/usr/lib/cni/host-local';

export interface IpamCall {
  readonly verb?: string;
  readonly containerId?: string;
  readonly ifName?: string;
  readonly netns?: string;
  readonly args?: string;
}

export interface IpamAnswer {
  readonly exitCode: number | null;
  /** Addresses, gateways, routes and DNS of a result; code and message of an error. */
  readonly json: {
    readonly cniVersion?: string;
    readonly ips?: readonly {
      readonly address: string;
      readonly gateway?: string;
      readonly version?: string;
    }[];
    readonly routes?: readonly object[];
    readonly dns?: object;
    readonly code?: number;
    readonly msg?: string;
  };
  readonly stdout: string;
}

/** A folder with the executable under its name as IPAM plugin. */
export function ipamFolder(t: ExecutionContext): { readonly base: string; readonly plugin: string } {
  const base = mkdtempSync(join(tmpdir(), 'trapline-ipam-'));
  t.teardown(() => rmSync(base, { recursive: true, force: true }));
  const plugin = join(base, IPAM_NAME);
  symlinkSync(join(ROOT, 'pkg/dist/trapline'), plugin);
  return { base, plugin };
}

export function ipamUnavailable(): string | undefined {
  return [HOST_LOCAL, join(ROOT, 'pkg/dist/trapline')].find((path) => !existsSync(path));
}

/** Starts the plugin; `onStart` gets the process. */
export async function callIpamPlugin(
  file: string,
  config: object,
  call: IpamCall = {},
  onStart: (child: ChildProcess) => void = () => undefined,
): Promise<IpamAnswer> {
  const { verb = 'ADD', containerId = 'c1', ifName = 'eth0', netns = '/run/netns/none', args = '' } = call;
  const child = spawn(file, [], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: {
      CNI_COMMAND: verb,
      CNI_CONTAINERID: containerId,
      CNI_IFNAME: ifName,
      CNI_NETNS: netns,
      CNI_ARGS: args,
      CNI_PATH: '/usr/lib/cni',
    },
  });
  let stdout = '';
  child.stdout.on('data', (data) => {
    stdout += data;
  });
  child.stdin.on('error', () => undefined);
  child.stdin.end(JSON.stringify(config));
  onStart(child);
  const exitCode = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { exitCode, stdout, json: exitCode === null || stdout === '' ? {} : JSON.parse(stdout) };
}

export const add = (containerId: string, more: Partial<IpamCall> = {}): IpamCall => ({
  containerId,
  ...more,
});
export const del = (containerId: string, more: Partial<IpamCall> = {}): IpamCall => ({
  verb: 'DEL',
  containerId,
  ...more,
});
export const check = (containerId: string): IpamCall => ({ verb: 'CHECK', containerId });
