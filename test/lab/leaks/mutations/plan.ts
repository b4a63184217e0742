import { type Mutation, SRC } from './mutation.ts';

/** What the model and the plan decide: which policies there are, and in which phase. */
export const PLAN: readonly Mutation[] = [
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
        from: 'reqid: REQID_ANY',
        to: 'reqid',
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
];
