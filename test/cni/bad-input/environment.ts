import { corednsArgs } from '../../helpers/unit/plugin.ts';
import { type BadInput, literal } from './types.ts';

const REQUIRED: Readonly<Record<string, readonly string[]>> = {
  ADD: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME'],
  CHECK: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME'],
  DEL: ['CNI_CONTAINERID', 'CNI_IFNAME'],
  GC: ['CNI_PATH'],
};

const CONFIG_1_1: Readonly<Record<string, unknown>> = {
  cniVersion: '1.1.0',
  'cni.dev/valid-attachments': [],
};

/** Every required variable missing, alone and empty, and all together. */
const missing: BadInput[] = Object.entries(REQUIRED).flatMap(([command, names]) => [
  ...names.flatMap((name) =>
    [undefined, ''].map((value) => ({
      title: `${command} with ${name} ${value === '' ? 'empty' : 'missing'}`,
      command,
      env: { [name]: value },
      config: CONFIG_1_1,
      code: 4,
      says: new RegExp(`missing: ${name}$`),
    })),
  ),
  {
    title: `${command} without any variable`,
    command,
    env: Object.fromEntries(names.map((name) => [name, undefined])),
    config: CONFIG_1_1,
    code: 4,
    says: new RegExp(`missing: ${names.join(', ')}$`),
  },
]);

const MALFORMED: Readonly<Record<string, readonly string[]>> = {
  CNI_CONTAINERID: ['-a', '.', '../x', 'a/b', 'a b', 'ü', 'a\nb'],
  CNI_IFNAME: ['.', '..', 'a/b', 'a:b', 'a b', 'a\tb', 'sixteen-letters!', 'ätherätherää'],
};

const malformed: BadInput[] = ['ADD', 'DEL', 'CHECK'].flatMap((command) =>
  Object.entries(MALFORMED).flatMap(([name, values]) =>
    values.map((value) => ({
      title: `${command} with ${name} ${JSON.stringify(value)}`,
      command,
      env: { [name]: value },
      code: 4,
      says: new RegExp(`^${name}: ${literal(JSON.stringify(value))} `),
    })),
  ),
);

const netns: BadInput[] = ['ADD', 'CHECK'].flatMap((command) => [
  {
    title: `${command} with a relative CNI_NETNS`,
    command,
    env: { CNI_NETNS: 'run/x' },
    code: 4,
    says: /^CNI_NETNS: "run\/x"/,
  },
  {
    title: `${command} with CNI_NETNS gone`,
    command,
    env: { CNI_NETNS: '/nope/x' },
    code: 4,
    says: /^CNI_NETNS: "\/nope\/x"/,
  },
]);

const host: BadInput[] = ['ADD', 'DEL', 'CHECK'].map((command) => ({
  title: `${command} with the CNI_NETNS of the node`,
  command,
  env: { CNI_NETNS: '/proc/self/ns/net' },
  code: 8,
  says: /^CNI_NETNS: "\/proc\/self\/ns\/net"/,
}));

const args: BadInput[] = [
  ['K8S_POD_NAME', /^CNI_ARGS: "K8S_POD_NAME" is not KEY=VALUE/],
  ['=x', /^CNI_ARGS: "=x"/],
  ['a=b=c', /^CNI_ARGS: "a=b=c"/],
  [`${corednsArgs()};`, /^CNI_ARGS: "" is not/],
  ['K8S_POD_NAME=a;WHAT=1', /^CNI_ARGS: unknown keys WHAT/],
  ['IgnoreUnknown=0;WHAT=1', /^CNI_ARGS: unknown keys WHAT/],
  ['IgnoreUnknown=maybe', /^CNI_ARGS: IgnoreUnknown: "maybe"/],
  ['K8S_POD_NAME=a', /K8S_POD_NAME is "a", but K8S_POD_NAMESPACE is missing/],
].map(([value, says]) => ({
  title: `ADD with CNI_ARGS ${value}`,
  command: 'ADD',
  env: { CNI_ARGS: String(value) },
  code: 4,
  says: says as RegExp,
}));

const verbs: BadInput[] = ['add', 'UPDATE', 'ADD '].map((command) => ({
  title: `verb ${JSON.stringify(command)}`,
  command,
  code: 4,
  says: new RegExp(`^CNI_COMMAND: unknown verb "${command}"`),
}));

export const BAD_ENVIRONMENT: readonly BadInput[] = [
  ...missing,
  ...malformed,
  ...netns,
  ...host,
  ...args,
  ...verbs,
];
