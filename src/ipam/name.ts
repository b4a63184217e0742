/** The name under which the executable is the IPAM plugin. */
export const IPAM_NAME = 'trapline-ipam';
