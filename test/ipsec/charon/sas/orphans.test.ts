import test from 'ava';
import { findOrphans, type KernelSa } from '../../../../src/ipsec/charon/sas/orphans.ts';
import { replaceOrphans } from '../../../../src/ipsec/charon/sas/replace-orphans.ts';
import { ViciError } from '../../../../src/ipsec/vici/error.ts';
import { childSa, connection, ikeSa } from '../../../helpers/charon/values.ts';

const kernelSa = (overrides: Partial<KernelSa> = {}): KernelSa => ({
  src: '192.0.2.2',
  dst: '192.0.2.1',
  spi: 0xc0000001,
  reqid: 10_000_000,
  algorithms: ['aead'],
  ...overrides,
});

const running = [ikeSa({ children: [childSa()] })];

const orphan = test.macro<[sa: Partial<KernelSa>, expected: boolean]>((t, sa, expected) => {
  t.is(findOrphans([kernelSa(sa)], running).length === 1, expected);
});

test('known inbound SA', orphan, {}, false);
test('known outbound SA', orphan, { src: '192.0.2.1', dst: '192.0.2.2', spi: 0xc0000002 }, false);
test('unknown SPI', orphan, { spi: 0xc0000003 }, true);
test('an SPI that charon knows at the other end only', orphan, { dst: '192.0.2.2' }, true);
test('a reqid that is not ours', orphan, { spi: 0xc0000003, reqid: 1 }, false);
test('a larval SA without an SPI', orphan, { spi: 0 }, false);
test('an SA that is being negotiated', orphan, { spi: 0xc0000003, algorithms: [] }, false);

test('new SAs first, then the orphans go; what cannot be brought up goes as well', async (t) => {
  const calls: string[] = [];
  const kernel = [
    kernelSa({ spi: 1 }),
    kernelSa({ spi: 2, reqid: 10_000_001 }),
    kernelSa({ spi: 3, reqid: 5 }),
    kernelSa({ spi: 4, reqid: 10_000_500 }),
  ];
  const count = await replaceOrphans([connection('b')], {
    listKernel: async () => kernel,
    listSas: async () => [],
    announce: async (ike) => void calls.push(`announce ${ike}`),
    initiate: async (ike, child) => {
      calls.push(`initiate ${ike} ${child}`);
      if (child.endsWith('_ingress')) {
        throw new ViciError('refused', 'no answer');
      }
    },
    drain: async () => void calls.push('drain'),
    deleteKernel: async (sa) => void calls.push(`delete ${sa.spi}`),
  });
  t.is(count, 3);
  t.deepEqual(calls, [
    'announce k8s-node-b',
    'initiate k8s-node-b udp_dns_egress',
    'initiate k8s-node-b udp_dns_ingress',
    'drain',
    'delete 1',
    'delete 2',
    'delete 4',
  ]);
});

test('a child that runs already is not brought up twice', async (t) => {
  const calls: string[] = [];
  await replaceOrphans([connection('b')], {
    listKernel: async () => [kernelSa({ spi: 1 })],
    listSas: async () => running,
    announce: async () => void calls.push('announce'),
    initiate: async () => void calls.push('initiate'),
    drain: async () => undefined,
    deleteKernel: async (sa) => void calls.push(`delete ${sa.spi}`),
  });
  t.deepEqual(calls, ['delete 1']);
});

test('orphans stay if charon dies meanwhile', async (t) => {
  const deleted: number[] = [];
  const work = replaceOrphans([connection('b')], {
    listKernel: async () => [kernelSa({ spi: 1 })],
    listSas: async () => [],
    announce: async () => undefined,
    initiate: async () => {
      throw new ViciError('closed', 'charon closed the connection');
    },
    drain: async () => undefined,
    deleteKernel: async (sa) => void deleted.push(sa.spi),
  });
  await t.throwsAsync(work, { message: /closed/ });
  t.deepEqual(deleted, []);
});

test('a peer that does not answer is asked once, and its orphans go', async (t) => {
  const calls: string[] = [];
  await replaceOrphans([connection('b')], {
    listKernel: async () => [kernelSa({ spi: 1 })],
    listSas: async () => [],
    announce: async () => {
      calls.push('announce');
      throw new ViciError('refused', 'no answer');
    },
    initiate: async () => void calls.push('initiate'),
    drain: async () => undefined,
    deleteKernel: async (sa) => void calls.push(`delete ${sa.spi}`),
  });
  t.deepEqual(calls, ['announce', 'delete 1']);
});
