import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { applySysctls, restoreSysctls } from '../../../src/agent/host/sysctl.ts';

function node(value: string): {
  options: { runDir: string; root: string };
  read: () => string;
  write: (v: string) => void;
} {
  const base = mkdtempSync(join(tmpdir(), 'trapline-sysctl-'));
  const options = { runDir: join(base, 'run'), root: join(base, 'sys') };
  const file = join(options.root, 'net/core/xfrm_larval_drop');
  mkdirSync(join(options.root, 'net/core'), { recursive: true });
  mkdirSync(options.runDir);
  writeFileSync(file, `${value}\n`);
  return { options, read: () => readFileSync(file, 'utf8').trim(), write: (v) => writeFileSync(file, v) };
}

test('the first packet is kept, and the setting put back', (t) => {
  const { options, read } = node('1');
  applySysctls(options);
  t.is(read(), '0');
  applySysctls(options);
  restoreSysctls(options);
  t.is(read(), '1');
});

test('a setting that was right already is not touched by restore', (t) => {
  const { options, read } = node('0');
  applySysctls(options);
  restoreSysctls(options);
  t.is(read(), '0');
});

test('what somebody else set since stays', (t) => {
  const { options, read, write } = node('1');
  applySysctls(options);
  write('2');
  restoreSysctls(options);
  t.is(read(), '2');
});

test('a kernel without the setting is an error that names it', (t) => {
  const { options } = node('1');
  const error = t.throws(() => applySysctls({ ...options, root: '/nonexistent' }));
  t.regex(error.message, /xfrm_larval_drop/);
});

test('forwarding is set where routes are ours, in the families that the kernel has, and put back', (t) => {
  const { options, read } = node('1');
  const [four, six] = ['net/ipv4/ip_forward', 'net/ipv6/conf/all/forwarding'].map((name) =>
    join(options.root, name),
  );
  mkdirSync(join(options.root, 'net/ipv4'));
  writeFileSync(four ?? '', '0\n');
  applySysctls({ ...options, forwarding: true });
  t.deepEqual([read(), readFileSync(four ?? '', 'utf8'), existsSync(six ?? '')], ['0', '1', false]);
  mkdirSync(join(options.root, 'net/ipv6/conf/all'), { recursive: true });
  writeFileSync(six ?? '', '0\n');
  applySysctls({ ...options, forwarding: true });
  t.is(readFileSync(six ?? '', 'utf8'), '1');
  restoreSysctls(options);
  t.deepEqual(
    [four, six].map((path) => readFileSync(path ?? '', 'utf8')),
    ['0', '0'],
  );
  t.is(read(), '1');
});

test('forwarding is left alone where routes are not ours', (t) => {
  const { options } = node('1');
  mkdirSync(join(options.root, 'net/ipv4'));
  writeFileSync(join(options.root, 'net/ipv4/ip_forward'), '0');
  applySysctls(options);
  t.is(readFileSync(join(options.root, 'net/ipv4/ip_forward'), 'utf8'), '0');
});
