import { cpSync } from 'node:fs';
import { join } from 'node:path';
import type { LabCluster } from './nodes/cluster.ts';
import { createLab, destroyLab, type Lab } from './nodes/lab.ts';
import { createReport } from './nodes/report.ts';
import { bringUp, firstPackets, shownByKubectl } from './steps/bring-up.ts';
import { changes } from './steps/changes.ts';
import { failures } from './steps/failures.ts';

export interface ScenarioOptions {
  readonly keep?: boolean;
  readonly source?: LabCluster['kind'];
  /** Where another charon than the system's is installed. */
  readonly charonRoot?: string;
  /** The agents lay the routes of the pod network. */
  readonly ownRoutes?: boolean;
}

/** The main job, end to end, on three nodes. `keep` leaves them up, protected. Returns the exit status. */
export async function runScenario(
  childSaScope: string,
  { keep = false, source = 'directory', ...nodes }: ScenarioOptions = {},
): Promise<number> {
  const titles = [
    ...(childSaScope === 'service' ? [] : [`childSaScope ${childSaScope}`]),
    ...(source === 'directory' ? [] : [`source ${source}`]),
    ...(nodes.charonRoot === undefined ? [] : ['charon 6.0']),
    ...(nodes.ownRoutes === true ? ['routes of ours'] : []),
  ];
  const report = createReport(titles.map((title) => `[${title}] `).join(''));
  const lab = await createLab(childSaScope, source, nodes);
  try {
    const first =
      source === 'directory' ? [bringUp, firstPackets, failures] : [bringUp, shownByKubectl, firstPackets];
    for (const part of keep ? first : [...first, changes]) {
      if (!(await part(lab, report))) {
        keepLogs(lab);
        break;
      }
    }
  } finally {
    if (keep) {
      explainKept(lab);
    } else {
      await destroyLab(lab);
    }
  }
  return report.finish();
}

/** How to look around in nodes that were left up. They end with their processes. */
function explainKept({ nodes, servers, base }: Lab): void {
  for (const { spec, holder } of nodes) {
    process.stdout.write(`${spec.name}: nsenter --target ${holder.pid} --net --mount\n`);
  }
  const daemons = nodes.flatMap(({ agent, charon, holder }) => [agent, charon, holder]);
  const pids = [...servers, ...daemons].map((daemon) => daemon?.pid ?? '').join(' ');
  process.stdout.write(`to end them: kill -9 ${pids}; rm -r ${base}\n`);
}

/** Logs and the capture of a run that failed, where whoever started it can find them. */
export function keepLogs({ base, nodes }: Lab, name = ''): void {
  const target = join(process.env.TRAPLINE_LAB_LOGS ?? `${base}.logs`, name);
  const wanted = [
    'tcpdump.log',
    'wire.pcap',
    ...nodes.flatMap(({ spec }) => [`${spec.name}/agent.log`, `${spec.name}/charon.log`]),
  ];
  for (const file of wanted) {
    cpSync(join(base, file), join(target, file));
  }
  process.stdout.write(`logs and capture: ${target}\n`);
}
