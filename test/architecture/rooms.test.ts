import { readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import test from 'ava';
import { ROOT } from '../helpers/unit/root.ts';
import { circlesIn, importsOf, sourcesBelow } from './graph.ts';

/**
 * The rooms, and which others each may import. A file belongs to the longest room that its path begins with; a room's own
 * folders below it need no entry. To open a door, write it here, and say in the commit why it is needed.
 */
const ROOMS: Readonly<Record<string, readonly string[]>> = {
  bin: [
    'src',
    'src/agent',
    'src/cli',
    'src/cluster',
    'src/cni',
    'src/controller',
    'src/exec',
    'src/install',
    'src/ipam',
    'src/ipsec/charon',
    'src/kube',
    'src/pki',
    'src/rundir',
    'src/util',
    'src/agent/charon',
    'src/agent/keys',
    'src/agent/report',
  ],
  src: [],
  'src/util': [],
  'src/ip': [],
  'src/exec': [],
  'src/rundir': ['src/util'],
  'src/ipsec/plan': ['src/ip', 'src/rundir', 'src/util'],
  'src/ipsec/xfrm': ['src/exec', 'src/ipsec/plan'],
  'src/ipsec/vici': [],
  'src/ipsec/charon': ['src/ipsec/plan', 'src/ipsec/vici', 'src/ipsec/xfrm'],
  'src/ipsec/hairpin': ['src/ip', 'src/ipsec/plan', 'src/rundir', 'src/util'],
  'src/kube': ['src/util'],
  'src/pki': ['src/ipsec/charon', 'src/rundir'],
  'src/cluster': ['src/ip', 'src/ipsec/plan', 'src/kube', 'src/rundir', 'src/util'],
  'src/agent': [
    'src/cluster',
    'src/ipsec/charon',
    'src/ipsec/plan',
    'src/ipsec/vici',
    'src/ipsec/xfrm',
    'src/rundir',
    'src/util',
    'src/agent/charon',
    'src/agent/enabling',
    'src/agent/host',
    'src/agent/kernel',
    'src/agent/keys',
    'src/agent/loop',
    'src/agent/model',
    'src/agent/report',
  ],
  'src/agent/charon': [
    'src/agent/enabling',
    'src/ipsec/charon',
    'src/ipsec/plan',
    'src/ipsec/vici',
    'src/ipsec/xfrm',
    'src/pki',
    'src/util',
  ],
  'src/agent/enabling': ['src/agent/report', 'src/cluster', 'src/ipsec/plan', 'src/ipsec/xfrm', 'src/rundir'],
  'src/agent/host': ['src/exec', 'src/ip', 'src/ipsec/hairpin', 'src/ipsec/xfrm', 'src/rundir', 'src/util'],
  'src/agent/kernel': [
    'src/ip',
    'src/ipsec/charon',
    'src/ipsec/plan',
    'src/ipsec/xfrm',
    'src/rundir',
    'src/util',
  ],
  'src/agent/keys': ['src/cluster', 'src/kube', 'src/pki', 'src/rundir', 'src/util'],
  'src/agent/loop': [
    'src/agent',
    'src/agent/enabling',
    'src/agent/kernel',
    'src/agent/model',
    'src/agent/report',
    'src/cluster',
    'src/ipsec/plan',
    'src/rundir',
    'src/util',
  ],
  'src/agent/model': [
    'src/agent/enabling',
    'src/cluster',
    'src/ip',
    'src/ipsec/plan',
    'src/rundir',
    'src/util',
  ],
  'src/agent/report': [
    'src/agent',
    'src/agent/charon',
    'src/cluster',
    'src/ipsec/plan',
    'src/kube',
    'src/rundir',
    'src/util',
  ],
  'src/controller': ['src/cluster', 'src/kube', 'src/pki', 'src/util'],
  'src/install': ['src/ipam', 'src/kube', 'src/util'],
  'src/cni': ['src/exec', 'src/ip', 'src/ipam', 'src/ipsec/plan', 'src/ipsec/xfrm', 'src/rundir', 'src/util'],
  'src/ipam': ['src/cni', 'src/exec', 'src/ip', 'src/rundir'],
  'src/cli': ['src/exec', 'src/ip', 'src/ipsec/plan', 'src/ipsec/xfrm', 'src/rundir', 'src/util'],
};

const FILES = sourcesBelow('src', 'bin');
const IMPORTS = importsOf(FILES);
const LONGEST_FILE = 220;
const MOST_FILES = 12;
const COLUMNS = 110;

function roomOf(file: string): string {
  const rooms = Object.keys(ROOMS).filter((room) => file.startsWith(`${room}/`));
  return rooms.sort((a, b) => b.length - a.length)[0] ?? '';
}

test('a room imports the rooms that it may, and no others', (t) => {
  const forbidden = FILES.flatMap((file) => {
    const room = roomOf(file);
    return (IMPORTS.get(file) ?? [])
      .filter((name) => IMPORTS.has(name))
      .filter((name) => roomOf(name) !== room && !ROOMS[room]?.includes(roomOf(name)))
      .map((name) => `${file} imports ${name}`);
  });
  t.deepEqual(forbidden, []);
});

test('no door is open that nobody uses', (t) => {
  const used = new Set(
    FILES.flatMap((file) =>
      (IMPORTS.get(file) ?? [])
        .filter((name) => IMPORTS.has(name))
        .map((name) => `${roomOf(file)} ${roomOf(name)}`),
    ),
  );
  t.deepEqual(
    Object.entries(ROOMS).flatMap(([room, doors]) =>
      doors.map((door) => `${room} ${door}`).filter((door) => !used.has(door)),
    ),
    [],
  );
});

test('nothing is imported in a circle, types included', (t) => {
  t.deepEqual(circlesIn(IMPORTS), []);
});

test('a circle is found', (t) => {
  const imports = new Map([
    ['a', ['b']],
    ['b', ['c', 'node:fs']],
    ['c', ['a']],
    ['d', ['a']],
  ]);
  t.deepEqual(circlesIn(imports), [['a', 'b', 'c']]);
  t.deepEqual(circlesIn(new Map([['a', ['a']]])), [['a']]);
});

test('the plan has no effects: nothing of Node and no library, not even by another file', (t) => {
  const reached = new Set(FILES.filter((file) => file.startsWith('src/ipsec/plan/')));
  t.true(reached.size > 0);
  for (const file of reached) {
    // Types alone bring nothing along.
    const text = readFileSync(join(ROOT, file), 'utf8');
    for (const name of IMPORTS.get(file) ?? []) {
      if (IMPORTS.has(name) && !isTypeOnly(text, file, name)) {
        reached.add(name);
      }
    }
  }
  const foreign = [...reached].flatMap((file) =>
    (IMPORTS.get(file) ?? []).filter((name) => !IMPORTS.has(name)).map((name) => `${file} imports ${name}`),
  );
  t.deepEqual(foreign, []);
});

/** Whether all imports of one file by another are of types. */
function isTypeOnly(text: string, from: string, name: string): boolean {
  const path = relative(dirname(from), name);
  const specifier = path.startsWith('.') ? path : `./${path}`;
  const lines = [...text.matchAll(/^import (type )?[^;]*? from '([^']+)';/gm)].filter(
    ([, , to]) => to === specifier,
  );
  return lines.length > 0 && lines.every(([, type]) => type !== undefined);
}

test(`no source has more than ${LONGEST_FILE} lines, and no folder more than ${MOST_FILES} files`, (t) => {
  const lines = (file: string): number => readFileSync(join(ROOT, file), 'utf8').trimEnd().split('\n').length;
  t.deepEqual(
    FILES.filter((file) => lines(file) > LONGEST_FILE),
    [],
  );
  const full = [...Map.groupBy(FILES, dirname)].filter(([, files]) => files.length > MOST_FILES);
  t.deepEqual(
    full.map(([folder]) => folder),
    [],
  );
});

test(`comments are wrapped at ${COLUMNS} columns`, (t) => {
  const wide = FILES.flatMap((file) =>
    readFileSync(join(ROOT, file), 'utf8')
      .split('\n')
      .flatMap((line, index) =>
        /^\s*(\/\/|\/?\*)/.test(line) && line.length > COLUMNS ? [`${file}:${index + 1}`] : [],
      ),
  );
  t.deepEqual(wide, []);
});
