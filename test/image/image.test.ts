import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { run } from '../../src/exec/execa.ts';
import { VERSION } from '../../src/version.ts';
import { ROOT } from '../helpers/unit/root.ts';

/** The container image, built without a registry, and its programs run in it. */
const TAG = 'localhost/trapline:test';
const BUILDAH = '/usr/bin/buildah';
const MINUTES = 60_000;
// What works in a container without more privileges than root.
const ENV = {
  BASE: 'debootstrap',
  ISOLATION: 'chroot',
  STORAGE_DRIVER: 'vfs',
  PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
};

const missing = [BUILDAH, '/usr/sbin/debootstrap'].filter((file) => !existsSync(file));
const imageTest = missing.length === 0 ? test.serial : test.serial.skip;
if (missing.length > 0) {
  console.error(`SKIPPED: tier image: ${missing.join(', ')} missing`);
}

const pairs = Object.entries(ENV).map(([key, value]) => `${key}=${value}`);
const execute = (...argv: string[]): ReturnType<typeof run> =>
  run({
    file: '/usr/bin/env',
    args: ['-i', `HOME=${process.env.HOME ?? '/root'}`, ...pairs, ...argv],
    timeoutMs: 8 * MINUTES,
  });

async function must(t: ExecutionContext, file: string, ...args: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await execute(file, ...args);
  t.is(exitCode, 0, `${file} ${args.join(' ')}: ${stderr.slice(-2_000)}`);
  return stdout;
}

imageTest('the image is built of a local root file system, and everything in it runs', async (t) => {
  t.timeout(10 * MINUTES);
  await must(t, '/bin/sh', join(ROOT, 'scripts/image.sh'), TAG);
  t.teardown(async () => void (await execute(BUILDAH, 'rmi', '--force', TAG, 'localhost/debian-base')));
  const container = (await must(t, BUILDAH, 'from', '--pull-never', TAG)).trim();
  t.teardown(async () => void (await execute(BUILDAH, 'rm', container)));
  const inside = (...argv: string[]): Promise<string> =>
    must(t, BUILDAH, 'run', '--isolation', 'chroot', container, '--', ...argv);

  t.is((await inside('/usr/local/sbin/trapline-agent', '--version')).trim(), VERSION);
  t.is((await inside('/usr/local/sbin/kubectl-trapline', '--version')).trim(), VERSION);
  t.regex(
    await inside('/usr/bin/env', 'CNI_COMMAND=VERSION', '/usr/local/sbin/trapline'),
    /"supportedVersions"/,
  );
  for (const program of [
    '/usr/lib/ipsec/charon',
    '/usr/sbin/swanctl',
    '/usr/sbin/nft',
    '/sbin/ip',
    '/usr/bin/setpriv',
  ]) {
    await inside('/usr/bin/test', '-x', program);
  }
  t.is(
    await inside('/bin/cat', '/etc/strongswan.conf'),
    readFileSync(join(ROOT, 'conf/strongswan/strongswan.conf'), 'utf8'),
  );
  const sbom = JSON.parse(await inside('/bin/cat', '/usr/share/doc/trapline/sbom.spdx.json')) as {
    spdxVersion: string;
    packages: readonly { name: string }[];
  };
  t.regex(sbom.spdxVersion, /^SPDX-/);
  t.true(sbom.packages.some(({ name }) => name === 'zod'));
  t.regex(await inside('/bin/cat', '/usr/share/doc/trapline/debian-packages.txt'), /^strongswan-charon 5/m);
  const { OCIv1 } = JSON.parse(await must(t, BUILDAH, 'inspect', TAG)) as {
    OCIv1: { config: { Entrypoint: string[]; Labels: Record<string, string> } };
  };
  t.deepEqual(OCIv1.config.Entrypoint, ['/usr/local/sbin/trapline-agent']);
  t.is(OCIv1.config.Labels['org.opencontainers.image.title'], 'trapline');
});
