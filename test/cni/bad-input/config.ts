import { type BadInput, literal } from './types.ts';

const stdin: BadInput[] = ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS'].flatMap((command) =>
  ['', '{', '[]', 'null', '"x"', '{"cniVersion":"1.0.0"} x'].map((config) => ({
    title: `${command} with stdin ${JSON.stringify(config)}`,
    command,
    config,
    code: 6,
    says: /^stdin: not (JSON|a JSON object)/,
  })),
);

const versions: BadInput[] = [
  ['ADD', '0.3.0', 1, /^cniVersion: "0\.3\.0" is not one of 0\.3\.1/],
  ['ADD', '0.2.0', 1, /^cniVersion: "0\.2\.0"/],
  ['DEL', '1.2.0', 1, /^cniVersion: "1\.2\.0"/],
  ['ADD', '', 1, /^cniVersion: ""/],
  ['ADD', 'one', 1, /^cniVersion: "one"/],
  ['ADD', undefined, 1, /^cniVersion: "0\.1\.0"/],
  ['ADD', 1, 6, /^cniVersion: must be a string, got 1/],
  ['CHECK', '0.3.1', 1, /^cniVersion: 0\.3\.1 has no CHECK, 0\.4\.0 has/],
  ['GC', '1.0.0', 1, /^cniVersion: 1\.0\.0 has no GC/],
  ['STATUS', '1.0.0', 1, /^cniVersion: 1\.0\.0 has no STATUS/],
].map(([command, cniVersion, code, says]) => ({
  title: `${command} in version ${JSON.stringify(cniVersion)}`,
  command: String(command),
  config: { cniVersion },
  code: Number(code),
  says: says as RegExp,
}));

const values: BadInput[] = (
  [
    ['name', undefined, 7],
    ['name', '', 7],
    ['name', '../x', 7],
    ['name', 1, 6],
    ['runDir', 'run', 7],
    ['runDir', 1, 6],
    ['onCacheMiss', 'ignore', 7],
    ['cacheWaitMs', '5', 6],
    ['cacheWaitMs', -1, 7],
    ['cacheWaitMs', 1.5, 6],
    ['lockWaitMs', null, 6],
    ['ip', 'ip', 7],
    ['prevResult', [], 6],
    ['prevResult', 'x', 6],
  ] as const
).map(([key, value, code]) => ({
  title: `ADD with ${key} ${JSON.stringify(value)}`,
  command: 'ADD',
  config: { [key]: value },
  code,
  says: new RegExp(`^${key}: .*${literal(JSON.stringify(value) ?? '""')}`),
}));

const collections: BadInput[] = [
  [undefined, 7, /^cni\.dev\/valid-attachments: missing/],
  [{}, 6, /^cni\.dev\/valid-attachments: .*got {}$/],
  [['x'], 6, /^cni\.dev\/valid-attachments\.0: .*got "x"$/],
  [[{ containerID: 'a' }], 6, /^cni\.dev\/valid-attachments\.0\.ifname: .*got nothing$/],
].map(([list, code, says]) => ({
  title: `GC with valid attachments ${JSON.stringify(list)}`,
  command: 'GC',
  config: { cniVersion: '1.1.0', 'cni.dev/valid-attachments': list },
  code: Number(code),
  says: says as RegExp,
}));

const caches: BadInput[] = (
  [
    ['empty', ''],
    ['half-written', '{"schema":1,"generation":3,"pods":[{"na'],
    ['of another schema', '{"schema":99}'],
    ['no object', '[]'],
  ] as const
).map(([title, cache]) => ({
  title: `ADD with a cache that is ${title}`,
  command: 'ADD',
  cache,
  code: 6,
  says: /^node cache: \/.*\/node\.json: /,
}));

export const BAD_CONFIG: readonly BadInput[] = [...stdin, ...versions, ...values, ...collections, ...caches];
