import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { type Accepted, readAccepted, readAcceptedIn, writeAccepted } from '../../src/rundir/accepted.ts';
import { acceptedPath } from '../../src/rundir/paths.ts';

const ACCEPTED: Accepted = {
  schema: 1,
  writtenAt: 5,
  items: [
    {
      policy: 'p',
      uid: 'u',
      name: 'web',
      namespace: 'ns',
      service: 'web',
      specs: [{ proto: 'tcp', first: 80, last: 81 }],
    },
  ],
  services: [
    {
      namespace: 'ns',
      name: 'web',
      selector: { app: 'web' },
      ipFamilies: ['IPv4'],
      ports: [{ name: 'http', protocol: 'TCP', port: 80, targetPort: 'named' }],
      slicePorts: [{ name: 'http', protocol: 'TCP', port: 8080 }],
      gone: {
        until: 6,
        slices: [
          {
            name: 'web-1',
            addressType: 'IPv4',
            endpoints: [{ addresses: ['10.1.1.5'], nodeName: 'a', pod: true }],
            ports: [],
          },
        ],
      },
    },
  ],
  reached: [{ namespace: 'ns', service: 'web', proto: 'tcp', target: 80, phase: 'require', until: 7 }],
};

test('what was accepted is written as a whole, for root alone, and read again', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'trapline-accepted-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  t.is(readAccepted(folder).kind, 'missing');
  writeAccepted(folder, ACCEPTED);
  t.deepEqual(readAccepted(folder), { kind: 'ok', value: ACCEPTED });
  t.is(statSync(acceptedPath(folder)).mode & 0o777, 0o600);
  writeFileSync(
    acceptedPath(folder),
    JSON.stringify({ ...ACCEPTED, items: [{ ...ACCEPTED.items[0], specs: 3 }] }),
  );
  t.regex((readAccepted(folder) as { message: string }).message, /accepted.json: items.0.specs: /);
});

test('it is read from the folder that outlives a boot, and from the run directory of a former version', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'trapline-accepted-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const [state, run] = [join(folder, 'state'), join(folder, 'run')];
  t.is(readAcceptedIn(state, run).kind, 'missing');
  writeAccepted(run, { ...ACCEPTED, writtenAt: 1 });
  t.deepEqual(readAcceptedIn(state, run), { kind: 'ok', value: { ...ACCEPTED, writtenAt: 1 } });
  writeAccepted(state, { ...ACCEPTED, writtenAt: 2 });
  t.deepEqual(readAcceptedIn(state, run), { kind: 'ok', value: { ...ACCEPTED, writtenAt: 2 } });
});
