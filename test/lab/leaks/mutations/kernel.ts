import { type Mutation, SRC } from './mutation.ts';

/** What the agent does with the node's kernel: sysctls, the hairpin, and the order in which policies come and go. */
export const KERNEL: readonly Mutation[] = [
  {
    name: 'larval',
    mechanism: 'packets wait for their tunnel (xfrm_larval_drop 0)',
    row: '1c',
    fails: /first packets lost/,
    edits: [
      {
        file: `${SRC}/agent/host/sysctl.js`,
        from: "['net/core/xfrm_larval_drop', '0']",
        to: "['net/core/xfrm_larval_drop', '1']",
      },
    ],
  },
  {
    name: 'hairpin',
    mechanism: 'the first packets of a flow that DNAT makes pass the hairpin',
    row: '1c',
    fails: /"first-service","sent":\d+,"lost":[1-9]/,
    edits: [
      {
        file: `${SRC}/ipsec/hairpin/render.js`,
        from: 'ct state new ct status dnat',
        to: 'ct state invalid ct status dnat',
      },
    ],
  },
  {
    name: 'strongest',
    mechanism: 'of new policies the strongest are laid first',
    row: '3f',
    fails: /lost among servers: [1-9]/,
    edits: [
      {
        file: `${SRC}/agent/kernel/enforce.js`,
        from: 'const refusals = await effects.apply(operations, isolation).catch(refused.fail);',
        to: `const refusals = [];
    const added = operations.filter(({ op }) => op === 'add');
    for (const weight of new Set(added.map(({ policy }) => policy.priority).reverse())) {
      await effects.apply(added.filter(({ policy }) => policy.priority === weight));
      await new Promise((done) => setTimeout(done, 3_000));
    }
    await effects.apply(operations.filter(({ op }) => op !== 'add'));`,
      },
    ],
  },
  {
    name: 'fragments',
    mechanism: 'reassembly before the look-up',
    row: '8c',
    fails: 'clear',
    edits: [
      {
        file: `${SRC}/agent/host/hairpin.js`,
        from: 'const hairpin = planHairpin(cache);',
        to: 'const hairpin = null;',
      },
    ],
  },
  {
    name: 'order',
    mechanism: 'policies are replaced in place, new ones come before old ones go',
    row: '5d',
    fails: 'clear',
    edits: [
      {
        file: `${SRC}/agent/kernel/enforce.js`,
        from: 'const refusals = await effects.apply(operations, isolation).catch(refused.fail);',
        to: `const refusals = [];
    await effects.apply(operations.flatMap((one) => one.op === 'update' ? [{ op: 'delete', policy: one.previous }] : one.op === 'delete' ? [one] : []));
    await new Promise((done) => setTimeout(done, 1_000));
    await effects.apply(operations.flatMap((one) => one.op === 'update' ? [{ op: 'add', policy: one.policy }] : one.op === 'add' ? [one] : []));`,
      },
    ],
  },
  {
    name: 'addresses',
    mechanism: 'masquerading leaves alone what goes into a tunnel',
    row: '12b',
    fails: 'clear',
    edits: [{ file: `${SRC}/ipsec/hairpin/render.js`, from: 'rt ipsec exists', to: 'rt ipsec missing' }],
  },
];
