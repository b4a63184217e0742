import { chmodSync, cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../../helpers/root.ts';

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
  readonly edits: readonly Edit[];
}

const SRC = 'build/src';
const CONF = 'conf/strongswan/strongswan.conf';

export const MUTATIONS: readonly Mutation[] = [
  {
    name: 'add',
    mechanism: 'ADD lays policies before the pod starts',
    row: '1a',
    edits: [{ file: `${SRC}/ipsec/plan.js`, from: 'return cache.mesh\n', to: 'return true\n' }],
  },
  {
    name: 'unlisted',
    mechanism: 'protected port numbers of endpoints that are not listed yet',
    row: '1b',
    edits: [{ file: `${SRC}/watcher/model/model.js`, from: 'input.protectUnlisted === false', to: 'true' }],
  },
  {
    name: 'larval',
    mechanism: 'packets wait for their tunnel (xfrm_larval_drop 0)',
    row: '1c',
    edits: [
      {
        file: `${SRC}/watcher/sysctl.js`,
        from: "['net/core/xfrm_larval_drop', '0']",
        to: "['net/core/xfrm_larval_drop', '1']",
      },
    ],
  },
  {
    name: 'boot',
    mechanism: "a peer's new bootID drops its IKE_SAs",
    row: '2g',
    edits: [{ file: `${SRC}/watcher/rebooted.js`, from: 'before.has(node) &&', to: 'false &&' }],
  },
  {
    name: 'phases',
    mechanism: 'enabling in phases (level use, send, require)',
    row: '3a',
    edits: [{ file: `${SRC}/watcher/enabling.js`, from: 'uid === undefined || late', to: 'true' }],
  },
  {
    name: 'departed',
    mechanism: 'pod CIDRs of nodes that left keep their policies',
    row: '5b',
    edits: [
      { file: `${SRC}/watcher/model/departed.js`, from: 'DEPARTED_MS = 20 * 60_000', to: 'DEPARTED_MS = 0' },
    ],
  },
  {
    name: 'icmp',
    mechanism: 'ICMP of protected pods',
    row: '7a',
    edits: [
      {
        file: `${SRC}/ipsec/selectors.js`,
        from: "{ proto: family === 4 ? 'icmp' : 'icmpv6', port: 0, child: first.child, phase: phaseOf(chosen) },",
        to: '',
      },
      { file: `${SRC}/ipsec/plan.js`, from: '() => icmpPolicies(cache)', to: '() => []' },
    ],
  },
  {
    name: 'icmp-node',
    mechanism: 'ICMP errors that nodes send with their own addresses',
    row: '7c',
    edits: [{ file: `${SRC}/ipsec/icmp.js`, from: '...(us ?? [])', to: '' }],
  },
  {
    name: 'fragments',
    mechanism: 'reassembly before the look-up',
    row: '8c',
    edits: [
      {
        file: `${SRC}/watcher/hairpin.js`,
        from: 'const hairpin = planHairpin(cache);',
        to: 'const hairpin = null;',
      },
    ],
  },
  {
    name: 'node-traffic',
    mechanism: 'node addresses are selectors (nodeTraffic)',
    row: '9a',
    edits: [
      { file: `${SRC}/ipsec/policy-maker.js`, from: 'cache.nodeTraffic === true ? peer', to: 'false ? peer' },
      {
        file: `${SRC}/ipsec/policy-maker.js`,
        from: 'cache.nodeTraffic === true ? cache',
        to: 'false ? cache',
      },
    ],
  },
  {
    name: 'strict',
    mechanism: 'strangers meet a template that no SA satisfies (strict)',
    row: '9c',
    edits: [{ file: `${SRC}/ipsec/strict.js`, from: 'cache.strict !== true', to: 'true' }],
  },
  {
    name: 'required',
    mechanism: 'inbound templates are required',
    row: '9d',
    edits: [{ file: `${SRC}/ipsec/policy-maker.js`, from: "? 'required' : 'use'", to: "? 'use' : 'use'" }],
  },
  {
    name: 'acquire',
    mechanism: 'acquires expire after 4 s (xfrm_acq_expires)',
    row: '10c',
    edits: [{ file: CONF, from: 'xfrm_acq_expires = 4', to: 'xfrm_acq_expires = 600' }],
  },
  {
    name: 'order',
    mechanism: 'policies are replaced in place, new ones come before old ones go',
    row: '5d',
    edits: [
      {
        file: `${SRC}/watcher/enforce.js`,
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
    edits: [{ file: `${SRC}/ipsec/charon/ghosts.js`, from: "state === 'INSTALLED'", to: 'false' }],
  },
  {
    name: 'hold',
    mechanism:
      'a responder goes on sending through the SA before while its initiator has not the next one yet',
    row: '13a',
    edits: [{ file: `${SRC}/ipsec/charon/pins.js`, from: "policy.dir === 'out'", to: 'false' }],
  },
  {
    name: 'esn',
    mechanism: 'sequence numbers of 64 bits',
    row: '6j',
    edits: [{ file: `${SRC}/ipsec/charon/profile.js`, from: '-esn-noesn', to: '' }],
  },
  {
    name: 'addresses',
    mechanism: 'masquerading leaves alone what goes into a tunnel',
    row: '12b',
    edits: [{ file: `${SRC}/ipsec/hairpin/render.js`, from: 'rt ipsec exists', to: 'rt ipsec missing' }],
  },
];

/** Makes a copy of the programs without the mechanism. Resolves to the folder; for the environment, see `useMutant`. */
export function makeMutant({ name, edits }: Pick<Mutation, 'name' | 'edits'>, base: string): string {
  const folder = join(base, `mutant-${name}`);
  mkdirSync(folder);
  cpSync(join(ROOT, 'build'), join(folder, 'build'), { recursive: true });
  cpSync(join(ROOT, 'conf'), join(folder, 'conf'), { recursive: true, dereference: true });
  cpSync(join(ROOT, 'package.json'), join(folder, 'package.json'));
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  for (const { file, from, to } of edits) {
    const path = join(folder, file);
    const text = readFileSync(path, 'utf8');
    if (!text.includes(from)) {
      throw new Error(`mutation ${name}: ${file} has no ${JSON.stringify(from)}`);
    }
    writeFileSync(path, text.replaceAll(from, to));
  }
  const dist = join(folder, 'dist');
  mkdirSync(dist);
  for (const program of ['trapline', 'trapline-agent', 'traplinectl']) {
    const path = join(dist, program);
    writeFileSync(
      path,
      `#!/bin/sh\nexec ${process.execPath} ${join(folder, 'build/bin', program)}.js "$@"\n`,
    );
    chmodSync(path, 0o755);
  }
  return folder;
}

/** The lab takes its programs and charon's settings from here; undefined: the real ones. */
export function useMutant(folder: string | undefined): void {
  if (folder === undefined) {
    delete process.env.TRAPLINE_DIST;
    delete process.env.TRAPLINE_STRONGSWAN_CONF;
  } else {
    process.env.TRAPLINE_DIST = join(folder, 'dist');
    process.env.TRAPLINE_STRONGSWAN_CONF = join(folder, CONF);
  }
}
