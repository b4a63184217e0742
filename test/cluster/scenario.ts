import { createLab, destroyLab, type Lab } from './lab/lab.ts';
import { tail } from './lab/probe.ts';
import { createReport } from './lab/report.ts';
import { bringUp, firstPackets } from './steps/bring-up.ts';
import { changes } from './steps/changes.ts';
import { failures } from './steps/failures.ts';

/** The main job, end to end, on three nodes. Returns the exit status. */
export async function runScenario(
  childSaScope: string,
  onFinish?: (lab: Lab) => Promise<void>,
): Promise<number> {
  const report = createReport(childSaScope === 'service' ? '' : `[childSaScope ${childSaScope}] `);
  const lab = await createLab(childSaScope);
  try {
    for (const part of [bringUp, firstPackets, failures, changes]) {
      if (!(await part(lab, report))) {
        for (const node of lab.nodes) {
          for (const file of ['agent.log', 'charon.log']) {
            process.stdout.write(`--- ${node.spec.name} ${file}\n${tail(node, file, 25)}\n`);
          }
        }
        break;
      }
    }
    await onFinish?.(lab);
  } finally {
    await destroyLab(lab);
  }
  return report.finish();
}
