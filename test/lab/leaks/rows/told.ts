import { join } from 'node:path';
import { readHeartbeat } from '../../../../src/rundir/read.ts';
import type { Lab } from '../../nodes/lab.ts';
import { type LabNode, METRICS } from '../../nodes/node.ts';
import { STRETCH } from '../../nodes/probe.ts';
import { runIn, until } from '../../nodes/process.ts';

const LIMIT_MS = 30_000 * STRETCH;
const REQUEST = 'GET /metrics HTTP/1.0\r\n\r\n';
const SOCAT = ['/usr/bin/socat', '-t', '10', '-', `TCP:${METRICS}`];
const NOTES = ['custom-columns=R:.reason,N:.note'];

/** What `traplinectl status` reads: `<node> of <peer>: <reason>`. */
async function byHeartbeat({ nodes }: Lab): Promise<string[]> {
  return nodes.flatMap(({ spec, run }) => {
    const heartbeat = readHeartbeat(join(run, 'trapline'));
    return heartbeat.kind === 'ok'
      ? (heartbeat.value.failures ?? []).map((text) => `${spec.name} of ${text}`)
      : [];
  });
}

async function byMetric({ enter }: LabNode): Promise<string[]> {
  const { stdout } = await runIn(enter, SOCAT, REQUEST);
  const counted = /^trapline_negotiation_failures\{reason="(.*)"\} [1-9]/gm;
  return [...stdout.matchAll(counted)].map(([, reason = '']) => reason);
}

async function byIPsecNode({ cluster }: Lab): Promise<string[]> {
  const column = 'custom-columns=F:.status.failures[*].reason';
  return (await cluster.get('ipsecnodes', '--no-headers', '-o', column)).split('\n');
}

async function byEvent({ cluster }: Lab): Promise<string[]> {
  const events = await cluster.get('events.events.k8s.io', '-n', 'default', '--no-headers', '-o', ...NOTES);
  return events.split('\n').filter((line) => line.startsWith('NegotiationFailed'));
}

/** Waits until every place where an operator looks tells of such a reason. Resolves to what one of the nodes says of its peer. */
export async function toldReason(lab: Lab, expected: RegExp): Promise<string> {
  const cluster = lab.cluster.kind === 'kubernetes' ? { IPsecNode: byIPsecNode, Event: byEvent } : {};
  const places = {
    heartbeat: byHeartbeat,
    metric: async () => (await Promise.all(lab.nodes.map(byMetric))).flat(),
    ...cluster,
  };
  let first = '';
  for (const [place, read] of Object.entries(places)) {
    let said: string[] = [];
    await until(`a reason like ${expected} by ${place}`, LIMIT_MS, async () => {
      said = await read(lab);
      return said.some((text) => expected.test(text));
    }).catch((error: Error) => {
      throw new Error(`${error.message}, but: ${said.join(' | ')}`);
    });
    first ||= said.find((text) => expected.test(text)) ?? '';
  }
  return first;
}
