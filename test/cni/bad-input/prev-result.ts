import type { BadInput } from './types.ts';

const ours = { name: 'eth0', sandbox: '/n' };
export const BAD_RESULTS: readonly BadInput[] = (
  [
    ['missing', undefined, 7, /^prevResult: missing/],
    ['null', null, 7, /^prevResult: missing/],
    ['empty', {}, 7, /^prevResult\.interfaces: no interface "eth0" with a sandbox, only: none/],
    [
      'without our interface',
      { interfaces: [{ ...ours, name: 'eth1' }] },
      7,
      /no interface "eth0".*only: eth1/,
    ],
    ['with our interface on the host', { interfaces: [{ name: 'eth0' }] }, 7, /no interface "eth0"/],
    ['with an empty sandbox', { interfaces: [{ ...ours, sandbox: '' }] }, 7, /no interface "eth0"/],
    ['without ips', { interfaces: [ours] }, 7, /^prevResult\.ips: no address of interface "eth0"/],
    [
      'with ips of others',
      { interfaces: [ours, ours], ips: [{ address: '10.0.0.1/8', interface: 1 }] },
      7,
      /^prevResult\.ips: no address/,
    ],
    [
      'with ips of nobody, and two sandboxes',
      { interfaces: [ours, { ...ours, name: 'b' }], ips: [{ address: '10.0.0.1/8' }] },
      7,
      /^prevResult\.ips: no address/,
    ],
    [
      'with an address without length',
      { interfaces: [ours], ips: [{ address: '10.0.0.1' }] },
      7,
      /^prevResult\.ips: "10\.0\.0\.1"/,
    ],
    [
      'with an address of length 33',
      { interfaces: [ours], ips: [{ address: '10.0.0.1/33' }] },
      7,
      /"10\.0\.0\.1\/33"/,
    ],
    [
      'with no address at all',
      { interfaces: [ours], ips: [{ address: 'x/8' }] },
      7,
      /^prevResult\.ips: "x\/8"/,
    ],
    [
      'with a number for an address',
      { interfaces: [ours], ips: [{ address: 1 }] },
      6,
      /^prevResult\.ips\.0\.address: .*got 1$/,
    ],
    ['with ips that are no list', { interfaces: [ours], ips: {} }, 6, /^prevResult\.ips: .*got {}$/],
    [
      'with an index that is text',
      { interfaces: [ours], ips: [{ address: '10.0.0.1/8', interface: '0' }] },
      6,
      /^prevResult\.ips\.0\.interface: .*got "0"$/,
    ],
    [
      'with a sandbox that is a number',
      { interfaces: [{ ...ours, sandbox: 3 }] },
      6,
      /^prevResult\.interfaces\.0\.sandbox: .*got 3$/,
    ],
  ] as const
).flatMap(([title, result, code, says]) =>
  ['ADD', 'CHECK'].map((command) => ({
    title: `${command} with prevResult ${title}`,
    command,
    config: { prevResult: result },
    code,
    says,
  })),
);
