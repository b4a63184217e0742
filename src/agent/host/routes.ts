import { familyOf } from '../../ip/family.ts';
import type { Iproute2 } from '../../ipsec/xfrm/iproute2.ts';
import type { NodeCache } from '../../rundir/schema.ts';

/**
 * The protocol number that marks our routes (rtnetlink(7), rtm_protocol). Nobody has it in
 * /etc/iproute2/rt_protos.
 */
const PROTOCOL = '177';

/** The node's routes cannot be brought in step. */
export class RouteError extends Error {
  override readonly name = 'RouteError';
}

/**
 * The routes of one family to the peers' pod CIDRs through the peers' addresses, sorted: `10.1.0.0/24 via
 * 192.0.2.2`.
 */
export function planRoutes({ peers }: Pick<NodeCache, 'peers'>, family: 4 | 6): string[] {
  return peers
    .flatMap(({ podCidrs, addresses }) => {
      const via = addresses.find((address) => familyOf(address) === family);
      return via === undefined
        ? []
        : podCidrs.filter((cidr) => familyOf(cidr) === family).map((cidr) => `${cidr} via ${via}`);
    })
    .sort();
}

/**
 * Brings our routes in the main table in step: replaces those that are missing or lead elsewhere, then
 * deletes those that are too many. Others' routes stay. Throws RouteError, RunError.
 */
export async function keepRoutes(iproute2: Iproute2, cache: Pick<NodeCache, 'peers'>): Promise<void> {
  for (const family of [4, 6] as const) {
    const [wanted, present] = [planRoutes(cache, family), await listRoutes(iproute2, family)];
    const destinations = new Set(wanted.map(destinationOf));
    const lines = [
      ...wanted
        .filter((route) => !present.includes(route))
        .map((route) => `route replace ${route} proto ${PROTOCOL}`),
      ...present
        .filter((route) => !destinations.has(destinationOf(route)))
        .map((route) => `route del ${route} proto ${PROTOCOL}`),
    ];
    if (lines.length > 0) {
      await ip(iproute2, [`-${family}`, '-force', '-batch', '-'], lines.map((line) => `${line}\n`).join(''));
    }
  }
}

export async function removeRoutes(iproute2: Iproute2): Promise<void> {
  await keepRoutes(iproute2, { peers: [] });
}

const destinationOf = (route: string): string => route.split(' ')[0] ?? '';

async function listRoutes(iproute2: Iproute2, family: 4 | 6): Promise<string[]> {
  const text = await ip(iproute2, [`-${family}`, 'route', 'show', 'proto', PROTOCOL]);
  return [...text.matchAll(/^(\S+) via (\S+) /gm)].map(([, destination, via]) => `${destination} via ${via}`);
}

async function ip({ run, ip: file }: Iproute2, args: readonly string[], input?: string): Promise<string> {
  const { exitCode, stdout, stderr } = await run({ file, args, ...(input === undefined ? {} : { input }) });
  if (exitCode !== 0) {
    throw new RouteError(`ip ${args.join(' ')}: ${stderr.trim()}`);
  }
  return stdout;
}
