import test from 'ava';
import { findGhosts } from '../../../../src/ipsec/charon/sas/ghosts.ts';
import type { KernelSa } from '../../../../src/ipsec/charon/sas/orphans.ts';
import { childSa, ikeSa } from '../../../helpers/charon/values.ts';

const kernelSa = (more: Pick<KernelSa, 'src' | 'dst' | 'spi'>): KernelSa => ({
  reqid: 10_000_000,
  algorithms: ['aead'],
  ...more,
});
const child = childSa({ uniqueId: 7, reqid: 10_000_000, spiIn: 1, spiOut: 2, installedFor: 60 });
const sa = ikeSa({ localHost: '192.0.2.1', remoteHost: '192.0.2.2', children: [child] });
const inbound = kernelSa({ src: '192.0.2.2', dst: '192.0.2.1', spi: 1 });
const outbound = kernelSa({ src: '192.0.2.1', dst: '192.0.2.2', spi: 2 });

const GHOST = { connection: 'k8s-node-b', child: 'udp_dns_egress', uniqueId: 7 };

test('a CHILD_SA that the kernel lacks one direction of is a ghost', (t) => {
  t.deepEqual(findGhosts([sa], [inbound, outbound]), []);
  t.deepEqual(findGhosts([sa], [inbound]), [GHOST]);
  t.deepEqual(findGhosts([sa], [outbound]), [GHOST]);
  t.deepEqual(findGhosts([sa], []), [GHOST]);
});

const kept = test.macro<[Partial<typeof child>]>({
  exec: (t, change) => t.deepEqual(findGhosts([{ ...sa, children: [{ ...child, ...change }] }], []), []),
  title: (title) => `no ghost: ${title}`,
});
test('just installed', kept, { installedFor: 4 });
test('on its way out', kept, { state: 'DELETING' });
test("somebody else's", kept, { reqid: 5 });
