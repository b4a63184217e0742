import * as z from 'zod';
import { acceptedPath } from './paths.ts';
import { formatOf, type ReadResult, readJson } from './read.ts';
import { writeFileAtomic } from './write.ts';

const protocol = z.enum(['tcp', 'udp', 'sctp', 'any']);
const phase = z.enum(['accept', 'send', 'require']);
const port = z.number().int().min(0).max(65535);
const target = z.union([port, z.string()]);

/** The last good form of an item of an IPsecPolicy. */
const item = z.object({
  policy: z.string(),
  /** Of the policy; absent if it is from a file. Another policy of the same name has another one. */
  uid: z.string().optional(),
  name: z.string(),
  namespace: z.string(),
  service: z.string(),
  specs: z.array(z.object({ proto: protocol, first: port, last: port })),
});

const slicePort = z.object({ name: z.string(), protocol: z.string(), port });

/** A Service that items name, as it last was, in Kubernetes' own terms. */
const service = z.object({
  namespace: z.string(),
  name: z.string(),
  selector: z.record(z.string(), z.string()).nullable(),
  ipFamilies: z.array(z.enum(['IPv4', 'IPv6'])),
  ports: z.array(
    z.object({ name: z.string(), protocol: z.string(), port: z.number(), targetPort: target.optional() }),
  ),
  /** What its slices said of its ports: the numbers of named target ports. */
  slicePorts: z.array(slicePort),
  /** Since it is gone: its endpoints, which count until `until`; 0: no more. */
  gone: z
    .object({
      until: z.number(),
      slices: z.array(
        z.object({
          name: z.string(),
          addressType: z.string(),
          endpoints: z.array(
            z.object({ addresses: z.array(z.string()), nodeName: z.string().optional(), pod: z.boolean() }),
          ),
          ports: z.array(slicePort),
        }),
      ),
    })
    .optional(),
});

/** How far the enabling of a port of a Service has come. Both `*`: the mesh. */
const reached = z.object({
  namespace: z.string(),
  service: z.string(),
  proto: protocol,
  target,
  phase,
  /** Which pods the Service selects, as a digest; absent if it has no selector. */
  pods: z.string().optional(),
  /** Present if nothing protects it any more: until then it does not begin anew. */
  until: z.number().optional(),
});

/**
 * `accepted.json` of the agent's state directory, by default the run directory: what the agent has accepted
 * of the cluster, and what therefore stays in force, through restarts, until it is withdrawn (docs/design.md,
 * What was accepted). The agent alone reads and writes it. Times are milliseconds since the epoch by the
 * clock of the agent that wrote them, whose time it was at `writtenAt`.
 */
export const acceptedSchema = z.object({
  schema: z.literal(1),
  writtenAt: z.number(),
  items: z.array(item),
  /** Items of policies that are gone: until then a policy of the same name is an edit of that one. */
  withdrawn: z.array(item.extend({ until: z.number() })).optional(),
  services: z.array(service),
  reached: z.array(reached),
});

export type Accepted = z.infer<typeof acceptedSchema>;
export type AcceptedItem = Accepted['items'][number];
export type AcceptedService = Accepted['services'][number];
export type ReachedPort = Accepted['reached'][number];

const format = formatOf(acceptedSchema);

export function readAccepted(runDir: string): ReadResult<Accepted> {
  return readJson(acceptedPath(runDir), format);
}

/** In the folder that outlives a boot; else where an agent of a former version, or without one, left it. */
export function readAcceptedIn(stateDir: string, runDir: string): ReadResult<Accepted> {
  const kept = readAccepted(stateDir);
  return kept.kind === 'missing' && stateDir !== runDir ? readAccepted(runDir) : kept;
}

export function writeAccepted(runDir: string, accepted: Accepted): void {
  writeFileAtomic(acceptedPath(runDir), `${JSON.stringify(accepted)}\n`);
}
