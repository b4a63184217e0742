import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { FROM_SOURCE, ROOT } from '../helpers/unit/root.ts';

const AGENT = join(ROOT, 'bin/trapline-agent.ts');
const REQUIRED = ['--node-name', 'a', '--pki-dir', '/nowhere'];

const refused: [option: string, value: string, range: string][] = [
  ['--rekey-after', '5401', '1 to 5400 whole seconds'],
  ['--rekey-after', '0', '1 to 5400 whole seconds'],
  ['--rekey-after-packets', '2147483649', '1 to 2147483648 whole packets'],
  ['--rekey-after-packets', '1e3x', '1 to 2147483648 whole packets'],
  ['--renewal-hold', '1.5', '1 to 86400 whole seconds'],
];

for (const [option, value, range] of refused) {
  test(`trapline-agent run refuses ${option} ${value}, and says what it takes`, async (t) => {
    const { code, stderr } = await promisify(execFile)(process.execPath, [
      ...[...FROM_SOURCE, AGENT, 'run', ...REQUIRED, option, value],
    ]).then(
      () => ({ code: 0, stderr: '' }),
      (error: { code: number; stderr: string }) => error,
    );
    t.is(code, 1);
    t.regex(stderr, new RegExp(`'${option} <\\w+>' argument '${value}' is invalid. ${range}`));
  });
}
