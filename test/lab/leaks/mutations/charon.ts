import { CONF, type Mutation, SRC } from './mutation.ts';

/** What keeps charon, its peers and the kernel's SAs together. */
export const CHARON: readonly Mutation[] = [
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
    name: 'acquire',
    mechanism: 'acquires expire after 4 s (xfrm_acq_expires)',
    row: '10c',
    fails: /the peer does not answer.*; traffic: not within/,
    edits: [{ file: CONF, from: 'xfrm_acq_expires = 4', to: 'xfrm_acq_expires = 600' }],
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
];
