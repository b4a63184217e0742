import test from 'ava';
import { createNode, errorOf } from '../helpers/unit/plugin.ts';

const SUPPORTED = ['0.3.1', '0.4.0', '1.0.0', '1.1.0'];
const NO_ENV = {
  CNI_CONTAINERID: undefined,
  CNI_NETNS: undefined,
  CNI_IFNAME: undefined,
  CNI_ARGS: undefined,
  CNI_PATH: undefined,
};

for (const [config, answer] of [
  ['{"cniVersion":"1.1.0"}', '1.1.0'],
  ['{"cniVersion":"0.4.0"}', '0.4.0'],
  ['{}', '1.1.0'],
  ['', '1.1.0'],
]) {
  test(`VERSION asked with ${config || 'nothing'}`, async (t) => {
    const outcome = await createNode(t, null).call('VERSION', { env: NO_ENV, config: config ?? '' });
    t.is(outcome.exitCode, 0);
    t.deepEqual(JSON.parse(outcome.stdout), { cniVersion: answer, supportedVersions: SUPPORTED });
  });
}

test('VERSION asked with broken JSON', async (t) => {
  const node = createNode(t, null);
  t.is(errorOf(t, await node.call('VERSION', { config: '{' })).code, 6);
  t.is(errorOf(t, await node.call('VERSION', { config: '{"cniVersion":1}' })).code, 6);
});

test('no CNI_COMMAND: about text and versions on stderr, nothing on stdout', async (t) => {
  for (const command of ['', undefined]) {
    const outcome = await createNode(t, null).call('', { env: { ...NO_ENV, CNI_COMMAND: command } });
    t.is(outcome.exitCode, 0);
    t.is(outcome.stdout, '');
    t.regex(outcome.stderr, /^CNI trapline plugin 0\.0\.0-test/);
    t.regex(outcome.stderr, /versions supported: 0\.3\.1, 0\.4\.0, 1\.0\.0, 1\.1\.0\n$/);
  }
});
