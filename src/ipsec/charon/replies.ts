import * as z from 'zod';
import { ViciError } from '../vici/error.ts';
import type { ViciMessage } from '../vici/message.ts';

const number = z.string().regex(/^\d+$/).transform(Number);
const spi = z
  .string()
  .regex(/^[0-9a-f]{1,8}$/i)
  .transform((hex) => Number.parseInt(hex, 16));
const strings = z.array(z.string()).default([]);
const flag = z
  .literal('yes')
  .optional()
  .transform((yes) => yes === 'yes');

/** One CHILD_SA of `list-sa`. SPIs and counters are missing until it is installed. */
const childSaSchema = z
  .object({
    name: z.string(),
    uniqueid: number,
    reqid: number,
    state: z.string(),
    mode: z.string(),
    'spi-in': spi.optional(),
    'spi-out': spi.optional(),
    'encr-alg': z.string().optional(),
    'encr-keysize': number.optional(),
    'bytes-in': number.default(0),
    'bytes-out': number.default(0),
    'packets-in': number.default(0),
    'packets-out': number.default(0),
    'install-time': number.optional(),
    'rekey-time': number.optional(),
    'local-ts': strings,
    'remote-ts': strings,
  })
  .transform((sa) => ({
    name: sa.name,
    uniqueId: sa.uniqueid,
    reqid: sa.reqid,
    /** `INSTALLED`, `REKEYED`, `DELETING`, … */
    state: sa.state,
    mode: sa.mode,
    spiIn: sa['spi-in'],
    spiOut: sa['spi-out'],
    encryption: sa['encr-alg'],
    encryptionBits: sa['encr-keysize'],
    bytesIn: sa['bytes-in'],
    bytesOut: sa['bytes-out'],
    packetsIn: sa['packets-in'],
    packetsOut: sa['packets-out'],
    /** Seconds since the CHILD_SA was installed, and seconds until charon rekeys it. */
    installedFor: sa['install-time'],
    rekeyIn: sa['rekey-time'],
    localTs: sa['local-ts'],
    remoteTs: sa['remote-ts'],
  }));

const ikeSaSchema = z
  .object({
    uniqueid: number,
    version: z.string(),
    state: z.string(),
    'local-host': z.string(),
    'remote-host': z.string(),
    'local-id': z.string(),
    'remote-id': z.string(),
    initiator: flag,
    established: number.optional(),
    'tasks-queued': strings,
    'tasks-active': strings,
    'child-sas': z.record(z.string(), childSaSchema).default({}),
  })
  .transform((sa) => ({
    uniqueId: sa.uniqueid,
    version: sa.version,
    /** `CONNECTING`, `ESTABLISHED`, `DELETING`, … */
    state: sa.state,
    localHost: sa['local-host'],
    remoteHost: sa['remote-host'],
    localId: sa['local-id'],
    remoteId: sa['remote-id'],
    initiator: sa.initiator,
    /** Seconds since the IKE_SA was established; missing while it is being negotiated. */
    establishedFor: sa.established,
    /** This node is negotiating a CHILD_SA, or has one to negotiate next. */
    negotiating: [...sa['tasks-queued'], ...sa['tasks-active']].includes('CHILD_CREATE'),
    children: Object.values(sa['child-sas']),
  }));

const connectionSchema = z.object({
  local_addrs: strings,
  remote_addrs: strings,
  version: z.string(),
  dpd_delay: number.optional(),
  rekey_time: number.optional(),
  reauth_time: number.optional(),
  children: z
    .record(z.string(), z.object({ mode: z.string(), 'local-ts': strings, 'remote-ts': strings }))
    .default({}),
});

const policySchema = z.object({ child: z.string(), ike: z.string(), mode: z.string() });

const versionSchema = z.object({ daemon: z.string(), version: z.string() });

const statsSchema = z.object({
  uptime: z.object({ running: z.string(), since: z.string() }),
  ikesas: z.object({ total: number, 'half-open': number }),
  plugins: strings,
});

export type ChildSa = z.infer<typeof childSaSchema>;
export type IkeSa = z.infer<typeof ikeSaSchema> & { readonly connection: string };
export type LoadedConnection = z.infer<typeof connectionSchema> & { readonly name: string };
export type TrapPolicy = z.infer<typeof policySchema>;
export type CharonVersion = z.infer<typeof versionSchema>;
export type CharonStats = z.infer<typeof statsSchema>;

/** Parses events `list-sa`. */
export const parseIkeSas = (events: readonly ViciMessage[]): IkeSa[] =>
  named('list-sa', events, ikeSaSchema).map(([connection, sa]) => ({ ...sa, connection }));

/** Parses events `list-conn`. */
export const parseConnections = (events: readonly ViciMessage[]): LoadedConnection[] =>
  named('list-conn', events, connectionSchema).map(([name, loaded]) => ({ ...loaded, name }));

/** Parses events `list-policy`. */
export const parsePolicies = (events: readonly ViciMessage[]): TrapPolicy[] =>
  named('list-policy', events, policySchema).map(([, policy]) => policy);

export const parseVersion = (reply: ViciMessage): CharonVersion => parse('version', reply, versionSchema);
export const parseStats = (reply: ViciMessage): CharonStats => parse('stats', reply, statsSchema);
export const parseConnectionNames = (reply: ViciMessage): string[] =>
  parse('get-conns', reply, z.object({ conns: strings })).conns;
export const parseKeyIds = (reply: ViciMessage): string[] =>
  parse('get-keys', reply, z.object({ keys: strings })).keys;
/** Parses the reply to `get-algorithms`. The section is called `dh` before charon 6.0, and `ke` since. */
export function parseKeyExchanges(reply: ViciMessage): string[] {
  const section = z.record(z.string(), z.string()).default({});
  const { dh, ke } = parse('get-algorithms', reply, z.object({ dh: section, ke: section }));
  return Object.keys({ ...dh, ...ke });
}
export const parseKeyId = (reply: ViciMessage): string =>
  parse('load-key', reply, z.object({ id: z.string() })).id;

/** Parses `ike-updown` and `child-updown`. The event has no `up` when an SA goes down. */
export function parseUpdown(event: string, message: ViciMessage): { up: boolean; sa: IkeSa } {
  const { up, ...rest } = message;
  const [sa] = named(event, [rest], ikeSaSchema).map(([connection, one]) => ({ ...one, connection }));
  if (sa === undefined) {
    throw new ViciError('malformed', `${event}: names no IKE_SA`);
  }
  return { up: up === 'yes', sa };
}

/** Parses `ike-rekey`: the connection, and whether this node is the initiator of the new IKE_SA. */
export function parseIkeRekey(message: ViciMessage): { connection: string; initiator: boolean } {
  const rekeys = Object.entries(
    parse('ike-rekey', message, z.record(z.string(), z.looseObject({ new: ikeSaSchema }))),
  );
  const [connection = '', sa] = rekeys[0] ?? [];
  if (sa === undefined) {
    throw new ViciError('malformed', 'ike-rekey: names no IKE_SA');
  }
  return { connection, initiator: sa.new.initiator };
}

/** Parses `child-rekey`: reqids and outgoing SPIs of the former CHILD_SAs, which are gone. */
export function parseChildRekey(message: ViciMessage): { reqid: number; spiOut: number | undefined }[] {
  const rekeyed = z.looseObject({
    'child-sas': z.record(z.string(), z.looseObject({ old: childSaSchema })).default({}),
  });
  return Object.values(parse('child-rekey', message, z.record(z.string(), rekeyed))).flatMap((sa) =>
    Object.values(sa['child-sas']).map(({ old: { reqid, spiOut } }) => ({ reqid, spiOut })),
  );
}

/**
 * Parses messages that have one section for each thing that they describe, under its name. Returns names and
 * contents.
 */
function named<S extends z.ZodType>(
  what: string,
  events: readonly ViciMessage[],
  schema: S,
): [string, z.output<S>][] {
  return events.flatMap((event) => Object.entries(parse(what, event, z.record(z.string(), schema))));
}

function parse<S extends z.ZodType>(what: string, message: ViciMessage, schema: S): z.output<S> {
  const result = schema.safeParse(message);
  if (!result.success) {
    throw new ViciError('malformed', `${what}: ${z.prettifyError(result.error)}`, { cause: result.error });
  }
  return result.data;
}
