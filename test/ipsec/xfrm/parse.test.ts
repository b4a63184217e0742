import { readFileSync } from 'node:fs';
import test from 'ava';
import * as fc from 'fast-check';
import { XfrmError } from '../../../src/ipsec/xfrm/error.ts';
import { eachPolicy } from '../../../src/ipsec/xfrm/kernel.ts';
import { byKey, type KernelPolicy, ownPolicies } from '../../../src/ipsec/xfrm/kernel-policy.ts';
import { parsePolicies } from '../../../src/ipsec/xfrm/parse/policy.ts';
import { parseStates } from '../../../src/ipsec/xfrm/parse/state.ts';
import { golden } from '../../helpers/unit/root.ts';

function read(name: string): string {
  return readFileSync(golden(`ipsec/xfrm/golden/${name}`), 'utf8');
}

for (const [name, parse] of [
  ['policies', parsePolicies],
  ['policies-s', parsePolicies],
  ['states', parseStates],
  ['states-s', parseStates],
  ['states-larval', parseStates],
  ['states-larval-s', parseStates],
] as const) {
  test(`golden: ${name}`, (t) => {
    t.deepEqual<unknown, unknown>(parse(read(`${name}.txt`)), JSON.parse(read(`${name}.json`)));
  });
}

test('property: read in pieces, cut anywhere, it is the same', async (t) => {
  const text = read('policies-s.txt');
  const cuts = fc.array(fc.integer({ min: 0, max: text.length }), { maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(cuts, async (places) => {
      const marks = [0, ...places.sort((a, b) => a - b), text.length];
      const found: KernelPolicy[] = [];
      const iproute2 = {
        ip: '/ip',
        run: async () => ({ exitCode: 0, stdout: '', stderr: '' }),
        stream: async (_: unknown, take: (piece: string) => void) => {
          marks.slice(1).forEach((end, index) => void take(text.slice(marks[index], end)));
          return { exitCode: 0, stderr: '' };
        },
      };
      await eachPolicy(iproute2, (policy) => void found.push(policy));
      t.deepEqual(found, parsePolicies(text));
    }),
  );
});

test('a reader at leisure rests after each piece, before the next one', async (t) => {
  const text = read('policies.txt');
  const events: string[] = [];
  const iproute2 = {
    ip: '/ip',
    run: async () => ({ exitCode: 0, stdout: '', stderr: '' }),
    stream: async ({ timeoutMs }: { timeoutMs?: number }, take: (piece: string) => void | Promise<void>) => {
      events.push(`${timeoutMs}`);
      for (const piece of [text.slice(0, 700), text.slice(700)]) {
        events.push('piece');
        await take(piece);
      }
      return { exitCode: 0, stderr: '' };
    },
  };
  const pause = async (tookMs: number): Promise<void> => {
    await new Promise((resolve) => setTimeout(resolve, 5));
    events.push(tookMs > 0 ? 'rested' : 'no time');
  };
  await eachPolicy(iproute2, () => undefined, { pause, timeoutMs: 5 });
  t.deepEqual(events, ['5', 'piece', 'rested', 'piece', 'rested']);
});

test('a table that cannot be read to its end is an error', async (t) => {
  const iproute2 = {
    ip: '/ip',
    run: async () => ({ exitCode: 0, stdout: '', stderr: '' }),
    stream: async () => ({ exitCode: 1, stderr: 'Dump terminated\n' }),
  };
  const error = await t.throwsAsync(
    eachPolicy(iproute2, () => undefined),
    { instanceOf: XfrmError },
  );
  t.is(error?.message, 'ip xfrm policy: Dump terminated');
});

test('property: an entry that is read at one look is read the same line by line', (t) => {
  const word = fc.constantFrom('', ' proto udp', ' proto 6', ' proto gre', ' proto ipv6-icmp');
  const port = fc.constantFrom('', ' sport 53', ' dport 9153', ' sport 1 dport 2');
  const level = fc.constantFrom('', '\t\tlevel use \n', '\t\tlevel required \n');
  const head = fc.tuple(fc.constantFrom('in', 'out', 'fwd', 'socket'), fc.integer({ min: 0, max: 200_000 }));
  const template = fc.tuple(
    fc.constantFrom('esp', 'ah'),
    fc.constantFrom('', ' spi 0xc1a2b3c4'),
    fc.constantFrom('tunnel', 'transport'),
  );
  fc.assert(
    fc.property(word, port, level, head, template, (proto, ports, use, [dir, priority], [esp, spi, mode]) => {
      const text = `src 10.1.0.3/32 dst fd00::/64${proto}${ports} \n\tdir ${dir} priority ${priority} ptype main \n${TEMPLATE}\n\t\tproto ${esp}${spi} reqid 10000001 mode ${mode}\n${use}`;
      const [slowly] = parsePolicies(`${text}\tlifetime config:\n`);
      const [one, ...others] = parsePolicies(text + text + HEAD);
      if (slowly?.kind === 'policy') {
        t.deepEqual([one, others[0]], [slowly, slowly]);
      } else {
        t.deepEqual(one, { kind: 'opaque', text: text.slice(0, -1) });
      }
      t.is(others.length, 2);
    }),
  );
});

test('no output is no policy and no SA', (t) => {
  t.deepEqual(parsePolicies(''), []);
  t.deepEqual(parseStates(''), []);
});

test('ours are told from the others, with and without -s', (t) => {
  const keys = ['policies.txt', 'policies-s.txt'].map((name) =>
    ownPolicies(parsePolicies(read(name))).map(({ dir, selector, template }) =>
      [dir, selector.src, selector.proto, template.reqid, template.level].join(' '),
    ),
  );
  t.deepEqual(keys[0], [
    'out 10.1.0.9/32 any 10000003 required',
    'fwd fd00::1/128 icmpv6 10000001 required',
    'out 10.1.0.3/32 icmp 10000001 required',
    'out fd00::1/128 sctp 19999999 required',
    'in 10.2.0.0/24 tcp 10000002 required',
    'fwd 10.2.0.0/24 udp 10000001 use',
    'out 10.1.0.3/32 udp 10000001 required',
  ]);
  t.deepEqual(keys[1], keys[0]);
});

test('a policy with a mark or an interface does not stand at the key of one without', (t) => {
  t.false(byKey(parsePolicies(read('policies.txt'))).has('out 10.0.0.0/8 10.9.0.0/16 tcp 0 80'));
});

const HEAD = 'src 10.1.0.3/32 dst 10.2.0.0/24 proto udp sport 53 ';
const TEMPLATE = '\ttmpl src 192.168.0.1 dst 192.168.0.2';

/** A policy of which one line is like nothing that we know. */
function odd(priority: number, reqid: number, line: string): string {
  const place = `\tdir out priority ${priority} ptype main `;
  return [HEAD, place, TEMPLATE, `\t\tproto esp reqid ${reqid} mode tunnel`, line, ''].join('\n');
}

for (const [title, text, line] of [
  ['an attribute', odd(1_100, 10_000_001, '\tnovelty 5'), '\tnovelty 5'],
  [
    'an attribute of what comes in',
    odd(1_100, 0, '\tnovelty 5').replace('dir out', 'dir fwd'),
    '\tnovelty 5',
  ],
  ['a part of a template', odd(1_199, 19_999_999, '\t\tnovelty 5'), '\t\tnovelty 5'],
  ['a level', odd(1_100, 10_000_001, '\t\tlevel 7 '), '\t\tlevel 7 '],
  ['a selector', odd(1_100, 10_000_001, '').replace('proto udp', 'prot udp'), HEAD.replace('proto', 'prot')],
  [
    'an action',
    odd(1_100, 10_000_001, '').replace('dir out', 'dir out action 7'),
    '\tdir out action 7 priority 1100 ptype main ',
  ],
  ['what is no policy', 'Dump was interrupted\n', 'Dump was interrupted'],
] as const) {
  test(`a policy that may be ours: ${title} that is not understood is an error that names the line`, (t) => {
    const error = t.throws(() => parsePolicies(read('policies.txt') + text), { instanceOf: XfrmError });
    t.deepEqual(error?.failure, { reason: 'unreadable', line });
    t.true(error?.message.includes(JSON.stringify(line)));
  });
}

for (const [title, text] of [
  ['its priority', odd(1_200, 10_000_001, '\tnovelty 5')],
  ['its reqid', odd(1_100, 20_000_000, '\tnovelty 5')],
  ['its lack of a reqid', odd(1_100, 0, '\tnovelty 5')],
  ['no template', `${HEAD}\n\tdir out priority 1100 ptype main \n\tnovelty 5\n`],
] as const) {
  test(`a foreign policy, told by ${title}, is opaque if not understood, and stops nobody`, (t) => {
    const policies = parsePolicies(text + read('policies.txt'));
    t.deepEqual(policies[0], { kind: 'opaque', text: text.trimEnd() });
    t.is(ownPolicies(policies).length, 7);
  });
}

test('protocols are understood as numbers too, as ip prints them without /etc/protocols', (t) => {
  const text = odd(1_100, 10_000_001, '').replace('proto udp', 'proto 17');
  t.deepEqual(parsePolicies(text), parsePolicies(odd(1_100, 10_000_001, '')));
});

test('an SA whose identity is not understood is an error that quotes no key', (t) => {
  const text = read('states.txt').replace('reqid 10000001 mode tunnel', 'reqid ten');
  const error = t.throws(() => parseStates(text), { instanceOf: XfrmError });
  t.deepEqual(error?.failure, { reason: 'unreadable', line: '\tproto esp spi 0xc1a2b3c4 reqid ten' });
});

test('a key that ip printed after all does not become part of an SA', (t) => {
  const states = parseStates(read('states.txt').replaceAll('<<Keys hidden>>', '0xdeadbeefdeadbeef'));
  t.is(states.length, 5);
  t.false(JSON.stringify(states).includes('deadbeef'));
});
