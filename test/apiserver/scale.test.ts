import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { cachePath } from '../../src/rundir/paths.ts';
import { assetsFolder } from '../helpers/kube/assets.ts';
import { createKubeLab } from '../helpers/kube/lab.ts';
import { item, policy } from '../helpers/kube/objects.ts';
import { must, netnsUnavailable } from '../helpers/netns/netns.ts';

const assets = assetsFolder();
const unavailable = 'why' in assets ? assets.why : await netnsUnavailable();
const [NODES, SERVICES, PROTECTED] = [1_000, 10_000, 100];
const FILL = join(import.meta.dirname, '../helpers/kube/fill.ts');

if (unavailable !== undefined) {
  console.error(`SKIPPED: apiserver tier: ${unavailable}`);
  test.skip(`scale (apiserver tier: ${unavailable})`, () => {});
} else {
  test.serial('1,000 nodes and 10,000 services, 100 of them protected', async (t) => {
    t.timeout(420_000);
    const lab = await createKubeLab(t, ['node-a']);
    const { server, wire, nodes } = lab;
    const [node] = nodes;
    if (node === undefined) {
      throw new Error('no node');
    }
    const fill = [FILL, server.kubeconfig, String(NODES), String(SERVICES), String(PROTECTED)];
    await must({ file: process.execPath, args: fill, timeoutMs: 300_000 }, wire.run);
    const items = Array.from({ length: PROTECTED }, (_, index) => item(`s-${index}`));
    await server.kubectl(['apply', '-f', '-'], JSON.stringify(policy('many', items).body));

    await node.startAgent();
    const started = Date.now();
    const written = (): boolean =>
      existsSync(cachePath(node.runDir)) && (node.cache()?.endpoints.length ?? 0) > 0;
    while (!written() && Date.now() - started < 60_000) {
      await sleep(20);
    }
    const ms = Date.now() - started;
    const cache = node.cache();
    t.is(cache?.peers.length, NODES);
    t.is(cache?.entries.length, PROTECTED);
    t.is(cache?.endpoints.length, 3 * PROTECTED);
    await sleep(15_000);

    const rss =
      Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${node.agent?.pid}/status`, 'utf8'))?.[1]) / 1_024;
    const before = await requestsServed(server.kubectl);
    await sleep(60_000);
    const perMinute = (await requestsServed(server.kubectl)) - before;
    t.log(
      `agent start to cache written: ${ms} ms; memory ${Math.round(rss)} MiB; ${perMinute} requests to the API server in a quiet minute; cache ${Math.round(statSync(cachePath(node.runDir)).size / 1_024)} KiB`,
    );
    t.true(ms < 15_000, `${ms} ms`);
    t.true(perMinute <= 20, `${perMinute} requests`);
    t.true(rss < 200, `${rss} MiB`);
  });
}

/** Requests of agents, by what the API server counts for resources that only they use this way. */
async function requestsServed(kubectl: (args: readonly string[]) => Promise<string>): Promise<number> {
  const metrics = await kubectl(['get', '--raw', '/metrics']);
  const wanted =
    /^apiserver_request_total\{.*resource="(ipsecnodes|ipsecpolicies|nodes|services|pods|endpointslices|daemonsets|namespaces)".*\} (\d+)$/gm;
  return [...metrics.matchAll(wanted)].reduce((sum, [, , count]) => sum + Number(count), 0);
}
