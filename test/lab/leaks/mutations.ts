import type { Outcome } from './table.ts';

interface Edit {
  /** Below the repository, compiled. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** A mechanism that is taken out of the code, and the row that must fail then. */
export interface Mutation {
  readonly name: string;
  readonly mechanism: string;
  readonly row: string;
  /** What that row must fail of: packets in the clear, messages lost in a row that may lose none, or what it says itself. */
  readonly fails: 'clear' | 'lost' | RegExp;
  readonly edits: readonly Edit[];
}

const SRC = 'build/src';
export const CONF = 'conf/strongswan/strongswan.conf';

export const MUTATIONS: readonly Mutation[] = [
  {
    name: 'add',
    mechanism: 'ADD lays policies before the pod starts',
    row: '1e',
    fails: /the kernel has dropped nothing/,
    edits: [{ file: `${SRC}/ipsec/plan/plan.js`, from: 'return cache.mesh\n', to: 'return true\n' }],
  },
  {
    name: 'unlisted',
    mechanism: 'protected port numbers of endpoints that are not listed yet',
    row: '1b',
    fails: 'clear',
    edits: [{ file: `${SRC}/agent/model/model.js`, from: 'input.protectUnlisted === false', to: 'true' }],
  },
  {
    name: 'answers',
    mechanism: 'what pods answer from protected port numbers, whether listed or not',
    row: '1d',
    fails: 'clear',
    edits: [
      {
        file: `${SRC}/ipsec/plan/policies/unlisted.js`,
        from: "...answering(port, 'out'",
        to: "...(() => [])(port, 'out'",
      },
    ],
  },
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
    name: 'boot',
    mechanism: "a peer's new bootID drops its IKE_SAs",
    row: '2g',
    fails: /the IKE_SAs of before are gone: not within/,
    edits: [{ file: `${SRC}/agent/loop/rebooted.js`, from: 'before.has(node) &&', to: 'false &&' }],
  },
  {
    name: 'announce',
    mechanism: "the peer's agent hears of what will replace the SAs of a killed charon",
    row: '2j',
    fails: /; lost: .*"lost":[1-9]/,
    edits: [
      {
        file: `${SRC}/ipsec/charon/sas/replace-orphans.js`,
        from: 'await effects.announce(name);',
        to: '',
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
        from: 'await effects.apply(operations);',
        to: `const added = operations.filter(({ op }) => op === 'add');
    for (const weight of new Set(added.map(({ policy }) => policy.priority).reverse())) {
      await effects.apply(added.filter(({ policy }) => policy.priority === weight));
      await new Promise((done) => setTimeout(done, 3_000));
    }
    await effects.apply(operations.filter(({ op }) => op !== 'add'));`,
      },
    ],
  },
  {
    name: 'phases',
    mechanism: 'enabling in phases (level use, send, require)',
    row: '3a',
    fails: 'lost',
    edits: [{ file: `${SRC}/agent/enabling/enabling.js`, from: 'uid === undefined || late', to: 'true' }],
  },
  {
    name: 'departed',
    mechanism: 'pod CIDRs of nodes that left keep their policies',
    row: '5b',
    fails: 'clear',
    edits: [
      { file: `${SRC}/agent/model/departed.js`, from: 'DEPARTED_MS = 20 * 60_000', to: 'DEPARTED_MS = 0' },
    ],
  },
  {
    name: 'icmp',
    mechanism: 'ICMP of protected pods',
    row: '7a',
    fails: 'clear',
    edits: [
      {
        file: `${SRC}/ipsec/plan/policies/selectors.js`,
        from: ', { proto, port: EVERY_PORT, child: first.child, phase }',
        to: '',
      },
      { file: `${SRC}/ipsec/plan/plan.js`, from: '() => icmpPolicies(cache)', to: '() => []' },
    ],
  },
  {
    name: 'icmp-child',
    mechanism: 'ICMP comes in through any child, and is not sent through one that is being enabled',
    row: '3b',
    fails: 'lost',
    edits: [
      {
        file: `${SRC}/ipsec/plan/policies/maker.js`,
        from: 'isIcmp(port.proto) ? REQID_ANY',
        to: 'false ? REQID_ANY',
      },
      { file: `${SRC}/ipsec/plan/policies/selectors.js`, from: 'one.phase === phase', to: 'true' },
    ],
  },
  {
    name: 'icmp-node',
    mechanism: 'ICMP errors that nodes send with their own addresses',
    row: '7c',
    fails: 'clear',
    edits: [{ file: `${SRC}/ipsec/plan/policies/icmp.js`, from: '...(us ?? [])', to: '' }],
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
    name: 'node-traffic',
    mechanism: 'node addresses are selectors (nodeTraffic)',
    row: '9a',
    fails: 'clear',
    edits: [
      {
        file: `${SRC}/ipsec/plan/policies/maker.js`,
        from: 'cache.nodeTraffic === true ? peer',
        to: 'false ? peer',
      },
      {
        file: `${SRC}/ipsec/plan/policies/maker.js`,
        from: 'cache.nodeTraffic === true ? cache',
        to: 'false ? cache',
      },
    ],
  },
  {
    name: 'strict',
    mechanism: 'strangers meet a template that no SA satisfies (strict)',
    row: '9c',
    fails: /[1-9]\d* of \d+ answered/,
    edits: [{ file: `${SRC}/ipsec/plan/policies/strict.js`, from: 'cache.strict !== true', to: 'true' }],
  },
  {
    name: 'required',
    mechanism: 'inbound templates are required',
    row: '9d',
    fails: /the kernel has dropped nothing/,
    edits: [
      { file: `${SRC}/ipsec/plan/policies/maker.js`, from: "? 'required' : 'use'", to: "? 'use' : 'use'" },
    ],
  },
  {
    name: 'acquire',
    mechanism: 'acquires expire after 4 s (xfrm_acq_expires)',
    row: '10c',
    fails: /the peer does not answer.*; traffic: not within/,
    edits: [{ file: CONF, from: 'xfrm_acq_expires = 4', to: 'xfrm_acq_expires = 600' }],
  },
  {
    name: 'order',
    mechanism: 'policies are replaced in place, new ones come before old ones go',
    row: '5d',
    fails: 'clear',
    edits: [
      {
        file: `${SRC}/agent/kernel/enforce.js`,
        from: 'await effects.apply(operations);',
        to: `await effects.apply(operations.flatMap((one) => one.op === 'update' ? [{ op: 'delete', policy: one.previous }] : one.op === 'delete' ? [one] : []));
    await new Promise((done) => setTimeout(done, 1_000));
    await effects.apply(operations.flatMap((one) => one.op === 'update' ? [{ op: 'add', policy: one.policy }] : one.op === 'add' ? [one] : []));`,
      },
    ],
  },
  {
    name: 'ghosts',
    mechanism: 'SAs that charon has and the kernel has lost are ended',
    row: '14b',
    fails: /SAs; traffic: not within/,
    edits: [{ file: `${SRC}/ipsec/charon/sas/ghosts.js`, from: "state === 'INSTALLED'", to: 'false' }],
  },
  {
    name: 'traps',
    mechanism: 'acquires that charon ignores are answered by the agent',
    row: '14e',
    fails: /traffic: not within/,
    edits: [{ file: `${SRC}/agent/charon/follow.js`, from: 'traps.note(message);', to: '' }],
  },
  {
    name: 'liveness',
    mechanism: 'a peer that sends ESP is alive, whether it answers or not',
    row: '6n',
    fails: 'lost',
    edits: [
      {
        file: `${SRC}/ipsec/charon/log/liveness.js`,
        from: 'one.heard?.packets !== packets',
        to: 'one.heard === undefined',
      },
    ],
  },
  {
    name: 'hold',
    mechanism:
      'a responder goes on sending through the SA before while its initiator has not the next one yet',
    row: '13a',
    fails: 'lost',
    edits: [{ file: `${SRC}/ipsec/charon/sas/pins.js`, from: "policy.dir === 'out'", to: 'false' }],
  },
  {
    name: 'esn',
    mechanism: 'sequence numbers of 64 bits',
    row: '6j',
    fails: /none of \d+ SAs/,
    edits: [{ file: `${SRC}/ipsec/charon/profile.js`, from: '-esn-noesn', to: '' }],
  },
  {
    name: 'addresses',
    mechanism: 'masquerading leaves alone what goes into a tunnel',
    row: '12b',
    fails: 'clear',
    edits: [{ file: `${SRC}/ipsec/hairpin/render.js`, from: 'rt ipsec exists', to: 'rt ipsec missing' }],
  },
];

/** `all`, or some of them with commas. */
export function mutationsNamed(which: string): Mutation[] {
  return MUTATIONS.filter(({ name }) => which === 'all' || which.split(',').includes(name));
}

/** Whether the row has failed of what the mechanism prevents: a tool's error, or nodes that cannot be set up, say nothing of it. */
export function isCaught({ fails }: Pick<Mutation, 'fails'>, outcome: Outcome): boolean {
  if (fails === 'clear') {
    return outcome.clear > 0;
  }
  if (fails === 'lost') {
    return !outcome.ok && outcome.lost > 0;
  }
  return !outcome.ok && fails.test(outcome.remark);
}
