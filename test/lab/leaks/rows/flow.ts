import type { PodName } from '../../nodes/lab.ts';
import { type Entrance, sleep, until } from '../../nodes/process.ts';
import { PODS } from '../../nodes/topology.ts';
import type { Passage } from '../ledger.ts';
import { MARKER, type StreamSpec } from '../traffic.ts';
import { ledgerOf, PATIENCE_MS, runSender, type World } from '../world.ts';

/** A message that is younger than this may still be on its way. */
const TOO_YOUNG_MS = 2_000;

/** A stream's name, and where it differs from UDP to port 53 of dns1. */
export type FlowSpec = Partial<StreamSpec> & Pick<StreamSpec, 'name'>;

type NamedPassage = Passage & Pick<StreamSpec, 'name'>;

const TO_DNS1 = {
  kind: 'udp',
  address: PODS.dns1.address,
  port: 53,
  bytes: 100,
  everyMs: 200,
  marker: MARKER,
} as const;

/**
 * Streams of a row's own, for `ms` from when the last of them has begun.
 * A connection that is never opened has sent nothing, which its row judges.
 */
export async function flows(
  world: World,
  from: PodName | Entrance,
  specs: readonly FlowSpec[],
  ms: number,
): Promise<readonly NamedPassage[]> {
  const since = Date.now();
  const sender = runSender(
    world,
    from,
    specs.map((spec) => ({ ...TO_DNS1, ...spec })),
  );
  const passages = (to: number): NamedPassage[] => {
    const ledger = ledgerOf(world);
    return specs.map(({ name }) => ({ name, ...ledger.passage(name, since, to) }));
  };
  const begun = async (): Promise<boolean> => passages(Date.now()).every(({ sent }) => sent > 0);
  await until('streams', PATIENCE_MS, begun).catch(() => undefined);
  await sleep(ms);
  const counted = passages(Date.now() - TOO_YOUNG_MS);
  await sender.stop('SIGKILL');
  return counted;
}

/** One such stream, for 8 s. */
export async function flow(world: World, from: PodName | Entrance, spec: FlowSpec): Promise<Passage> {
  const [passage] = await flows(world, from, [spec], 8_000);
  return passage as Passage;
}
