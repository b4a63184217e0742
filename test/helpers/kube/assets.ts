import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { env } from 'node:process';
import { ROOT } from '../unit/root.ts';

/** The folder with the binaries, or why there is none. */
export function assetsFolder(): { readonly folder: string } | { readonly why: string } {
  const cache = env.XDG_CACHE_HOME ?? join(env.HOME ?? '/root', '.cache');
  const version = /k8s\.io\/kubernetes (v[\d.]+)/.exec(
    readFileSync(join(ROOT, 'test/apiserver/assets/go.mod'), 'utf8'),
  )?.[1];
  const folder = env.KUBEBUILDER_ASSETS ?? join(cache, 'trapline', `kube-${version}`);
  const missing = ['kube-apiserver', 'etcd', 'kubectl'].find((name) => !existsSync(join(folder, name)));
  return missing === undefined
    ? { folder }
    : { why: `${join(folder, missing)} is missing: run scripts/kube-assets.sh, or set KUBEBUILDER_ASSETS` };
}
