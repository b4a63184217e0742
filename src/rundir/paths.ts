/** Files below the run directory. One place, so that plugin, agent and traplinectl agree. */
export const DEFAULT_RUN_DIR = '/run/trapline';

export const cachePath = (runDir: string): string => `${runDir}/node.json`;
export const heartbeatPath = (runDir: string): string => `${runDir}/agent.json`;
/** While it is there, the agent is to renew the node's certificate. */
export const rotationPath = (runDir: string): string => `${runDir}/rotate`;
export const lockPath = (runDir: string): string => `${runDir}/lock`;
export const attachmentsDir = (runDir: string): string => `${runDir}/attachments`;
/** `<containerID>-<ifname>.json`. Either may hold a hyphen: that of an interface name is escaped, so that no two attachments share a name. */
export const attachmentPath = (runDir: string, containerId: string, ifName: string): string =>
  `${attachmentsDir(runDir)}/${containerId}-${ifName.replaceAll('%', '%25').replaceAll('-', '%2d')}.json`;
