import { CniError, CODE } from './error.ts';

const ACCEPTED_KEYS = new Set([
  'IgnoreUnknown',
  // An address wanted of the IPAM plugin; the runtime gives it to the whole chain.
  'IP',
  'K8S_POD_NAMESPACE',
  'K8S_POD_NAME',
  'K8S_POD_INFRA_CONTAINER_ID',
  'K8S_POD_UID',
]);

/**
 * CNI_ARGS as containerd sends them: `IgnoreUnknown=1;K8S_POD_NAMESPACE=a;K8S_POD_NAME=b;…`. A pair without
 * exactly one `=` is an error. So is an unknown key, unless IgnoreUnknown is true (libcni, types.LoadArgs).
 * Throws CniError 4.
 */
export function parseArgs(text: string): ReadonlyMap<string, string> {
  const args = new Map<string, string>();
  for (const pair of text === '' ? [] : text.split(';')) {
    const [key, value, ...more] = pair.split('=');
    if (key === undefined || key === '' || value === undefined || more.length > 0) {
      throw new CniError(CODE.badEnvironment, `CNI_ARGS: ${JSON.stringify(pair)} is not KEY=VALUE`);
    }
    args.set(key, value);
  }
  const ignore = args.get('IgnoreUnknown') ?? '';
  if (!['', '0', '1', 'true', 'false'].includes(ignore.toLowerCase())) {
    throw new CniError(
      CODE.badEnvironment,
      `CNI_ARGS: IgnoreUnknown: ${JSON.stringify(ignore)} is not a boolean`,
    );
  }
  const unknown = [...args.keys()].filter((key) => !ACCEPTED_KEYS.has(key));
  if (unknown.length > 0 && !['1', 'true'].includes(ignore.toLowerCase())) {
    throw new CniError(
      CODE.badEnvironment,
      `CNI_ARGS: unknown keys ${unknown.join(', ')} (IgnoreUnknown is not set)`,
    );
  }
  return args;
}
