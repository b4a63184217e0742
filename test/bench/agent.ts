import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { assetsFolder } from '../helpers/kube/assets.ts';
import { attachPod } from '../helpers/kube/attach.ts';
import { createKubeLab, type KubeLab, type KubeNode, type LabContext } from '../helpers/kube/lab.ts';
import { item, policy } from '../helpers/kube/objects.ts';
import { IP, must } from '../helpers/netns/netns.ts';
import { until } from '../helpers/unit/until.ts';
import type { Row } from './report.ts';
import { median, percentile } from './statistics.ts';

/** The agent of one node of a large cluster while pods come and go, with a real API server, charon and kernel. */

const NODES = 1_000;
const SERVICES = 1_000;
const PROTECTED = 100;
const LOCAL_PODS = 250;
/** Of them, pods of protected services. */
const SERVING = 10;
const PER_MINUTE = 20;
const MINUTES = 2;
/** Before it is measured: agents run for weeks, and what V8 compiles it compiles in the first minutes. */
const WARM_UP_PER_MINUTE = 120;
/** The agent's second look at what it waits for itself: phases without a controller, the 30 s of its resync. */
const SETTLE_MS = 75_000;

/** From pod to kernel. */
const LATE_MS = 250;

/** How much of the agent's log is shown before and after. */
const AROUND_MS = 2_000;

const script = (name: string): string => join(import.meta.dirname, name);

/** Undefined without the programs of an API server. */
export async function agentUnderChurn(): Promise<Row[] | undefined> {
  const assets = assetsFolder();
  if ('why' in assets) {
    console.error(`SKIPPED: the agent of a large cluster: ${assets.why}`);
    return undefined;
  }
  const ends: (() => void | Promise<void>)[] = [];
  const context: LabContext = { teardown: (end) => void ends.unshift(end), log: console.error, passed: true };
  try {
    const lab = await createKubeLab(context, ['node-a']);
    const [node] = lab.nodes;
    if (node === undefined) {
      throw new Error('no node');
    }
    // As /run is.
    mkdirSync(node.runDir, { recursive: true });
    await must({ file: '/usr/bin/mount', args: ['-t', 'tmpfs', 'tmpfs', node.runDir] });
    context.teardown(() => void spawnSync('/usr/bin/umount', ['--lazy', node.runDir]));
    await fill(lab);
    await node.startAgent();
    await until('a cache', () => (node.cache()?.endpoints.length ?? 0) > 0, 120_000);
    await until(
      'the plugin',
      async () =>
        (await node.namespace.run({ file: join(node.binDir, 'trapline'), args: [] })).exitCode !== 127,
    );
    for (let index = 0; index < SERVING; index += 1) {
      await attachPod(context, node, {
        namespace: 'ns',
        name: `local-${index}`,
        address: `10.244.1.${index + 2}`,
      });
    }
    await sleep(SETTLE_MS);
    return await measure(lab, node);
  } finally {
    for (const end of ends) {
      await end();
    }
  }
}

async function fill({ server, wire }: KubeLab): Promise<void> {
  const args = [server.kubeconfig, String(NODES), String(SERVICES), String(PROTECTED)];
  await must(
    { file: process.execPath, args: [script('../helpers/kube/fill.js'), ...args], timeoutMs: 300_000 },
    wire.run,
  );
  await must(
    {
      file: process.execPath,
      args: [script('local-pods.js'), server.kubeconfig, String(LOCAL_PODS), String(SERVING)],
      timeoutMs: 120_000,
    },
    wire.run,
  );
  const items = Array.from({ length: PROTECTED }, (_, index) => item(`s-${index}`));
  await server.kubectl(['apply', '-f', '-'], JSON.stringify(policy('many', items).body));
}

/** Resolves to what came and went. */
async function churn({ server, wire }: KubeLab, perMinute: number, minutes: number): Promise<Event[]> {
  const args = [script('churn.js'), server.kubeconfig, ...[perMinute, minutes, PROTECTED].map(String)];
  const { stdout } = await must(
    { file: process.execPath, args, timeoutMs: (minutes + 2) * 60_000 },
    wire.run,
  );
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Event);
}

async function measure(lab: KubeLab, node: KubeNode): Promise<Row[]> {
  const pid = node.agent?.pid ?? 0;
  await churn(lab, WARM_UP_PER_MINUTE, 1);
  const policies = (await node.policies()).length;
  const seen = watchPolicies(node);
  await sleep(1_000);
  const [cpuBefore, charonBefore, started] = [cpuOf(pid), cpuSeconds(node.charon.pid), Date.now()];
  const events = await churn(lab, PER_MINUTE, MINUTES);
  const seconds = (Date.now() - started) / 1_000;
  const [cpu, charonCpu] = [cpuOf(pid) - cpuBefore, cpuSeconds(node.charon.pid) - charonBefore];
  await sleep(5_000);
  seen.stop();
  const comings = events
    .filter(({ what }) => what === 'comes')
    .map(({ address, at, ms }) => ({ at, ms, took: (seen.added.get(address) ?? Number.NaN) - at }));
  const delays = comings.map(({ took }) => took);
  const missing = delays.filter(Number.isNaN).length;
  if (missing > 0) {
    throw new Error(`${missing} of ${delays.length} pods never came to the kernel`);
  }
  for (const { at, ms, took } of comings.filter((coming) => coming.took > LATE_MS)) {
    const log = logged(node, at - AROUND_MS, at + took + AROUND_MS);
    console.error(
      `${at}: a pod took ${took} ms, the API server answered after ${ms} ms; the agent's log:\n${log}`,
    );
  }
  const what = `agent, ${NODES.toLocaleString('en')} nodes, ${policies.toLocaleString('en')} policies`;
  return [
    { what: `${what}: memory`, median: rssOf(pid), target: 150 },
    {
      what: `${what}: CPU in % of a core, ${PER_MINUTE} pods a minute`,
      median: (100 * cpu) / seconds,
      target: 2,
    },
    { what: `${what}: charon's CPU meanwhile`, median: (100 * charonCpu) / seconds },
    { what: `${what}: pod to kernel, median`, median: median(delays) },
    { what: `${what}: pod to kernel, p99`, median: percentile(delays, 99), target: LATE_MS },
    {
      what: `${what}: of it the API server's answer, p99`,
      median: percentile(
        comings.map(({ ms }) => ms),
        99,
      ),
    },
  ];
}

/** Lines of the agent's log, by their time. */
function logged(node: KubeNode, from: number, to: number): string {
  const within = (line: string): boolean => {
    const at = Number(/"time":(\d+)/.exec(line)?.[1]);
    return at >= from && at <= to;
  };
  return node.log().split('\n').filter(within).join('\n');
}

interface Event {
  readonly what: 'comes' | 'goes';
  readonly address: string;
  /** When the API server was asked, and how long it took to answer; milliseconds. */
  readonly at: number;
  readonly ms: number;
}

/** When the last policy with an address was added: `ip xfrm monitor`. */
function watchPolicies({ namespace }: KubeNode): { added: Map<string, number>; stop: () => void } {
  const added = new Map<string, number>();
  const child = spawn(
    '/usr/bin/nsenter',
    [`--net=${namespace.path}`, '--', IP, 'xfrm', 'monitor', 'policy'],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  createInterface({ input: child.stdout }).on('line', (line) => {
    const [, address] = /^src \S+ dst (10\.64\.\d+\.200)\/32 /.exec(line) ?? [];
    if (address !== undefined) {
      added.set(address, Date.now());
    }
  });
  return { added, stop: () => child.kill() };
}

/** Of a process and of all its children. */
function cpuOf(pid: number): number {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean);
  return [pid, ...children.map(Number)].reduce((sum, one) => sum + cpuSeconds(one), 0);
}

/** Of a process and of its children that have ended (proc(5): fields 14 to 17 of stat, in hundredths of a second). */
function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / 100;
}

const rssOf = (pid: number): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1_024;
