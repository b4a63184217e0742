import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { callPlugin } from '../../../src/cni/plugin.ts';
import type { Outcome } from '../../../src/cni/protocol.ts';
import type { NodeCache } from '../../../src/rundir/schema.ts';
import { writeNodeCache } from '../../../src/rundir/write.ts';
import { corednsAttachment, seedCache } from './cache.ts';
import { podArgs } from './cni.ts';
import { createFakeKernel, type FakeKernel } from './fake-kernel.ts';

/** A node as the plugin sees it, without root: a run directory of its own, a fake kernel, and a clock that jumps. */
export interface FakeNode {
  readonly runDir: string;
  readonly kernel: FakeKernel;
  readonly clock: { now: number; onSleep: (() => void) | undefined };
  /** One call. `config` is merged over a good one; a string is passed as it is. */
  readonly call: (command: string, input?: CallInput) => Promise<Outcome>;
}

export interface CallInput {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly config?: Readonly<Record<string, unknown>> | string;
}

/** Exists, and is no network namespace of anybody: enough for all that the plugin asks of it. */
const NETNS = '/dev/null';
export const COREDNS_ADDRESS = corednsAttachment.addresses[0] ?? '';
export const CONTAINER = 'c0ffee';
export const START = 1_700_000_000_000;

export function corednsArgs(uid = 'uid-1'): string {
  return podArgs('kube-system', 'coredns-1', uid, CONTAINER);
}

export function clientArgs(): string {
  return podArgs('default', 'client', 'uid-2', CONTAINER);
}

/** What `bridge` leaves for the next in the chain. */
export function prevResult(address = COREDNS_ADDRESS, cniVersion = '1.0.0'): Record<string, unknown> {
  return {
    cniVersion,
    interfaces: [
      { name: 'cni0', mac: '0a:58:0a:01:00:01' },
      { name: 'veth1', mac: '0a:58:0a:01:00:02' },
      { name: 'eth0', mac: '0a:58:0a:01:00:03', sandbox: NETNS },
    ],
    ips: [{ interface: 2, address: `${address}/26`, gateway: '172.16.166.129' }],
    routes: [{ dst: '0.0.0.0/0' }],
    dns: {},
  };
}

export function createNode(t: ExecutionContext, cache: NodeCache | null = seedCache()): FakeNode {
  const runDir = mkdtempSync(join(tmpdir(), 'trapline-test-'));
  t.teardown(() => rmSync(runDir, { recursive: true, force: true }));
  if (cache !== null) {
    writeNodeCache(runDir, cache);
  }
  const kernel = createFakeKernel();
  const clock: FakeNode['clock'] = { now: START, onSleep: undefined };
  return {
    runDir,
    kernel,
    clock,
    call: (command, { env = {}, config = {} } = {}) =>
      callPlugin({
        env: {
          CNI_COMMAND: command,
          CNI_CONTAINERID: CONTAINER,
          CNI_NETNS: NETNS,
          CNI_IFNAME: 'eth0',
          CNI_ARGS: corednsArgs(),
          CNI_PATH: '/opt/cni/bin',
          ...env,
        },
        stdin: () =>
          typeof config === 'string' ? config : JSON.stringify({ ...goodConfig(runDir), ...config }),
        run: (command) => kernel.run(command),
        now: () => clock.now,
        uptime: () => clock.now,
        sleep: async (ms) => {
          clock.now += ms;
          clock.onSleep?.();
        },
        version: '0.0.0-test',
      }),
  };
}

function goodConfig(runDir: string): Record<string, unknown> {
  return {
    cniVersion: '1.0.0',
    name: 'pods',
    type: 'trapline',
    runDir,
    ip: '/sbin/ip-of-the-test',
    prevResult: prevResult(),
  };
}

/** The error JSON on stdout. Fails the test if the call succeeded or said anything else. */
export function errorOf(
  t: ExecutionContext,
  outcome: Outcome,
): { code: number; msg: string; cniVersion: string; details?: string } {
  t.is(outcome.exitCode, 1, outcome.stdout);
  t.is(outcome.stderr, '');
  return JSON.parse(outcome.stdout);
}
