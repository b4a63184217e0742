/**
 * The run directory: its files, their schemas, and how they are read, written and locked. Plugin, agent and
 * traplinectl meet nowhere else on a node, so every path and schema is here, once.
 *
 * The room imports `util` alone. The plugin loads it for every pod: zod, and nothing else beside node's own
 * modules.
 */
export const DEFAULT_RUN_DIR = '/run/trapline';

export const cachePath = (runDir: string): string => `${runDir}/node.json`;
export const heartbeatPath = (runDir: string): string => `${runDir}/agent.json`;
/** While this file exists, the agent is asked to renew the certificate of the node. */
export const rotationPath = (runDir: string): string => `${runDir}/rotate`;
/** A folder of the agent's own: the socket on which it listens as long as it lives, and the lock for that. */
export const agentDir = (runDir: string): string => `${runDir}/agent`;
export const lockPath = (runDir: string): string => `${runDir}/lock`;
export const attachmentsDir = (runDir: string): string => `${runDir}/attachments`;
/**
 * `<containerID>-<ifname>.json`. Both parts may hold a hyphen. Those of the interface name are escaped, so
 * that no two attachments share a file name.
 */
export const attachmentPath = (runDir: string, containerId: string, ifName: string): string =>
  `${attachmentsDir(runDir)}/${containerId}-${ifName.replaceAll('%', '%25').replaceAll('-', '%2d')}.json`;
/** While this file exists, the node's nft table is missing: nothing may be attached. It says why. */
export const unguardedPath = (runDir: string): string => `${runDir}/unguarded`;
/** What the agent has accepted of the cluster: it stays in force, through restarts, until it is withdrawn. */
export const acceptedPath = (runDir: string): string => `${runDir}/accepted.json`;
