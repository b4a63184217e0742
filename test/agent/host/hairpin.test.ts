import test from 'ava';
import { createHairpin, type KeepHairpin } from '../../../src/agent/host/hairpin.ts';
import { sift } from '../../../src/agent/host/nft.ts';
import type { Command } from '../../../src/exec/types.ts';
import type { NodeCache } from '../../../src/rundir/schema.ts';
import { seedCache } from '../../helpers/unit/cache.ts';

const NFT = '/bin/true';

interface Machine {
  readonly hairpin: KeepHairpin;
  /** What happened, in order. */
  readonly did: string[];
  readonly tables: Map<string, string>;
  /** nft refuses what has this in it. */
  refused: RegExp | undefined;
  now: number;
}

/** The hairpin on a machine whose nft lists what was loaded. */
function machine(): Machine {
  const tables = new Map<string, string>();
  const did: string[] = [];
  const done = { exitCode: 0, stdout: '', stderr: '' };
  const run = async ({ file, args, input = '' }: Command): Promise<typeof done> => {
    if (file !== NFT) {
      return done;
    }
    const name = args[3] ?? /^table inet (\S+)/.exec(input)?.[1] ?? '';
    if (args[0] === 'list') {
      return { ...done, stdout: tables.get(name) ?? '' };
    }
    if (args[0] === 'delete') {
      did.push(`delete ${name}`);
      tables.delete(name);
    } else if (self.refused?.test(input) === true) {
      return { ...done, exitCode: 1, stderr: 'refused' };
    } else if (args[0] === '-f') {
      did.push(`load ${name}`);
      tables.set(name, input);
    }
    return done;
  };
  const guard = {
    mark: (reason: string) => void did.push(`mark ${reason}`),
    unmark: () => void did.push('unmark'),
    onLost: () => void did.push('lost'),
    now: () => self.now,
  };
  const options = { run, nft: NFT, ip: '/bin/ip', sysctlRoot: '/nowhere' };
  const self: Machine = { hairpin: createHairpin(options, guard), did, tables, refused: undefined, now: 0 };
  return self;
}

/** What went wrong, but for the settings of links, which do not exist here. */
const keep = (on: Machine, cache: NodeCache = seedCache()): Promise<string> =>
  on.hairpin.keep(cache).then(
    () => '',
    (error: Error) => error.message.replace(/ENOENT[^;]*(; )?/, ''),
  );
const NOTHING = seedCache({ children: [] });

test('first the node is marked, then the tables are laid, reassembly first, then the mark goes', async (t) => {
  const on = machine();
  t.is(await keep(on), '');
  const laid = ['load trapline-defrag', 'load trapline-defrag', 'load trapline', 'load trapline', 'unmark'];
  t.deepEqual(on.did.splice(0), ['mark nftables: not there: inet trapline-defrag, inet trapline', ...laid]);
  on.tables.clear();
  on.hairpin.look();
  t.is(await keep(on), '');
  t.deepEqual(on.did.splice(0), [
    'mark nftables: not there: inet trapline-defrag, inet trapline',
    'lost',
    'load trapline-defrag',
    'load trapline',
    'unmark',
  ]);
  on.tables.set('trapline', 'changed');
  on.hairpin.look();
  t.is(await keep(on), '');
  t.deepEqual(on.did, [
    'mark nftables: somebody has changed a table of ours',
    'lost',
    'load trapline',
    'unmark',
  ]);
});

test('a table that cannot be laid leaves the mark with the reason, and reassembly laid', async (t) => {
  const on = machine();
  on.refused = /table inet trapline /;
  t.regex(await keep(on), /refused/);
  t.regex(on.did.at(-1) ?? '', /^mark .*refused/);
  t.deepEqual([...on.tables.keys()], ['trapline-defrag']);
  on.refused = undefined;
  on.now = 2_000;
  t.is(await keep(on), '');
  t.is(on.did.at(-1), 'unmark');
});

test('what is refused alone is left out, is said each time, and leaves no mark', async (t) => {
  const on = machine();
  on.refused = /172\.16\.43\.0/;
  t.regex(await keep(on), /left out, as refused: pods4 172\.16\.43\.0\/26/);
  t.is(on.did.at(-1), 'unmark');
  t.regex(on.tables.get('trapline') ?? '', /172\.16\.166\.128/);
  t.regex(await keep(on), /left out/);
});

test('a cache that protects nothing needs no table and leaves no mark', async (t) => {
  const on = machine();
  await on.hairpin.begin(NOTHING);
  t.is(await keep(on, NOTHING), '');
  t.deepEqual(on.did, ['unmark', 'delete trapline', 'delete trapline-defrag']);
});

test('at the start the node is marked if a table is missing that may be needed', async (t) => {
  const on = machine();
  await on.hairpin.begin(null);
  await on.hairpin.begin(seedCache());
  t.is(on.did.filter((what) => what.startsWith('mark')).length, 2);
  await keep(on);
  on.did.splice(0);
  await on.hairpin.begin(seedCache());
  t.deepEqual(on.did, []);
});

test('sift: what is refused is found, one by one, and a list of nothing else does not last for ever', async (t) => {
  let trials = 0;
  const without = (bad: (one: number) => boolean) => (some: readonly number[]) => {
    trials += 1;
    return Promise.resolve(!some.some(bad));
  };
  const hundred = [...Array(100).keys()];
  t.deepEqual(
    await sift(
      hundred,
      without((one) => one === 41 || one === 7),
    ),
    hundred.filter((one) => one !== 41 && one !== 7),
  );
  trials = 0;
  t.deepEqual(
    await sift(
      [...Array(10_000).keys()],
      without(() => true),
    ),
    [],
  );
  t.true(trials <= 200);
});
