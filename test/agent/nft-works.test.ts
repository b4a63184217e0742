import test from 'ava';
import { whyNftFails } from '../../src/agent/nft-works.ts';
import { run } from '../../src/exec/execa.ts';

test('an nft that is missing, or whose kernel lacks a module, is told of with its cure', async (t) => {
  const cure = /While something is protected, no pod is attached on this node: install nftables, .*nft_ct$/;
  const missing = await whyNftFails(run, '/nonexistent/nft');
  t.regex(missing, /^\/nonexistent\/nft does not work: /);
  t.regex(missing, cure);
  const stderr = '/dev/stdin:2:70-77: Error: Could not process rule: No such file or directory\nmore\n';
  const lacking = await whyNftFails(async () => ({ exitCode: 1, stdout: '', stderr }), '/usr/sbin/nft');
  t.regex(lacking, /nft does not work: \/dev\/stdin:2:70-77: Error: Could not process rule: No such file/);
  t.regex(lacking, cure);
});

test('one that works is not', async (t) => {
  t.is(await whyNftFails(async () => ({ exitCode: 0, stdout: '', stderr: '' }), '/usr/sbin/nft'), '');
});
