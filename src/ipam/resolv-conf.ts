import { existsSync, readFileSync } from 'node:fs';
import type { CniDns } from '@containernetworking-ts/types';
import { CniError, CODE } from '../cni/error.ts';

/** Reads a resolv.conf(5) into the form of a CNI result. Throws CniError 5 if there is no such file. */
export function readResolvConf(path: string): CniDns {
  if (!existsSync(path)) {
    throw new CniError(CODE.io, `ipam.resolvConf: ${path} is not there`);
  }
  const nameservers: string[] = [];
  const options: string[] = [];
  let [domain, search]: [string, string[]] = ['', []];
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    const [key = '', ...values] = line.trim().split(/\s+/);
    if (key === 'nameserver') {
      nameservers.push(...values.slice(0, 1));
    } else if (key === 'domain') {
      domain = values[0] ?? '';
    } else if (key === 'search') {
      search = [...search, ...values];
    } else if (key === 'options') {
      options.push(...values);
    }
  }
  return {
    ...(nameservers.length === 0 ? {} : { nameservers }),
    ...(domain === '' ? {} : { domain }),
    ...(search.length === 0 ? {} : { search }),
    ...(options.length === 0 ? {} : { options }),
  };
}
