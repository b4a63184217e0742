import { join } from 'node:path';
import { run } from '../../../src/exec/execa.ts';
import { isOurReqid } from '../../../src/ipsec/plan/ours.ts';
import type { XfrmPolicy } from '../../../src/ipsec/plan/types.ts';
import { listPolicies, listStates, ownPolicies } from '../../../src/ipsec/xfrm/kernel.ts';
import type { KernelState } from '../../../src/ipsec/xfrm/parse/state.ts';
import { readHeartbeat, readNodeCache } from '../../../src/rundir/read.ts';
import { type Lab, type PodName, podOf } from './lab.ts';
import type { LabNode } from './node.ts';
import { mustIn, runIn } from './process.ts';
import { DNS_IP } from './topology.ts';

/** In QEMU everything is some ten times slower: limits that a user cares about are stretched there. */
export const STRETCH = process.env.TRAPLINE_EMULATED === '1' ? 8 : 1;

/** Protected traffic between pods, seen in the clear. */
export const CLEAR = 'net 172.16.0.0/16 and ((udp port 53) or (tcp port 53 or 9153 or 9402))';

const iproute2 = (node: LabNode): Parameters<typeof listPolicies>[0] => ({
  ip: '/usr/sbin/ip',
  run: (command) => {
    const [file = '', ...args] = [...node.enter, command.file, ...command.args];
    return run({ ...command, file, args });
  },
});

/** Policies of ours in the node's kernel. */
export async function policiesOf(node: LabNode): Promise<XfrmPolicy[]> {
  return ownPolicies(await listPolicies(iproute2(node)));
}

/** SAs of ours in the node's kernel, negotiated ones alone. */
export async function sasOf(node: LabNode): Promise<KernelState[]> {
  const states = await listStates(iproute2(node));
  return states.filter(({ reqid, algorithms }) => isOurReqid(reqid) && algorithms.length > 0);
}

/** Empty when the agent has brought the node in step with a cache that protects `entries` entries. */
export function lagOf(node: LabNode, entries: number): string {
  const runDir = join(node.run, 'trapline');
  const cache = readNodeCache(runDir);
  const heartbeat = readHeartbeat(runDir);
  if (cache.kind !== 'ok' || heartbeat.kind !== 'ok') {
    return 'no cache or no heartbeat yet';
  }
  const { charonError, reconcileError, enforcedGeneration, pid } = heartbeat.value;
  if (pid !== node.agent?.pid) {
    return 'the heartbeat of an agent before';
  }
  if (charonError !== '' || reconcileError !== '') {
    return charonError || reconcileError;
  }
  const found = cache.value.entries.length;
  return found === entries && enforcedGeneration >= cache.value.generation
    ? ''
    : `${found} entries, generation ${enforcedGeneration} of ${cache.value.generation}`;
}

/** Whether the node has taken the last step of enabling: until then plaintext may leave it. */
export function requiresEsp(node: LabNode): boolean {
  const cache = readNodeCache(join(node.run, 'trapline'));
  return (
    cache.kind === 'ok' &&
    cache.value.entries.every(({ ports }) => ports.every(({ phase = 'require' }) => phase === 'require'))
  );
}

export interface Answer {
  readonly ok: boolean;
  readonly ms: number;
  readonly said: string;
}

/** One DNS query, sent once: an answer means that nothing was lost. */
export async function dig(
  lab: Lab,
  from: PodName,
  options: readonly string[] = [],
  server = DNS_IP,
): Promise<Answer> {
  const once = ['+tries=1', '+retry=0', `+time=${4 * STRETCH}`, '+short'];
  const argv = ['/usr/bin/dig', ...once, ...options, `@${server}`, 'kubernetes.default', 'A'];
  const started = performance.now();
  const { stdout, stderr } = await runIn(podOf(lab, from).enter, argv);
  // The whole line: what dig says of a failure names the server, 10.96.0.10.
  const ok = stdout.split('\n').includes('10.96.0.1');
  return { ok, ms: performance.now() - started, said: (stdout + stderr).trim() };
}

/** Counts, from now on, the SYN-ACKs that reach a pod from a pod's address: answers whose DNAT nobody undid. */
export async function countUntranslated(lab: Lab, pod: PodName): Promise<() => Promise<number>> {
  const { enter } = podOf(lab, pod);
  const table = `table ip untranslated
    delete table ip untranslated
    table ip untranslated {
      chain answers {
        type filter hook prerouting priority raw;
        ip saddr 172.16.0.0/16 tcp flags & (syn | ack) == syn | ack counter
      }
    }`;
  await mustIn(enter, ['/usr/sbin/nft', '-f', '-'], table);
  return async () => {
    const rules = await mustIn(enter, ['/usr/sbin/nft', 'list', 'table', 'ip', 'untranslated']);
    return Number(/counter packets (\d+)/.exec(rules)?.[1]);
  };
}

/** A TCP connection that reads one line. */
export async function connect(lab: Lab, from: PodName, address: string, port: number): Promise<Answer> {
  const wait = String(4 * STRETCH);
  const target = `TCP:${address}:${port},connect-timeout=${wait}`;
  const started = performance.now();
  const { stdout, stderr } = await runIn(podOf(lab, from).enter, [
    '/usr/bin/socat',
    '-T',
    wait,
    '-u',
    target,
    '-',
  ]);
  const ok = stdout.includes('trapline');
  return { ok, ms: performance.now() - started, said: (stdout + stderr).trim() };
}
