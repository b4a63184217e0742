import test from 'ava';
import { createCharon } from '../../src/ipsec/charon/client.ts';
import { assertSupported } from '../../src/ipsec/charon/supported.ts';
import { connectVici } from '../../src/ipsec/vici/session.ts';
import { startCharon } from '../helpers/charon/charon.ts';
import { charon6Root } from '../helpers/charon/charon6.ts';
import { createNamespace, netnsUnavailable } from '../helpers/netns/netns.ts';

const unavailable = await netnsUnavailable();
const six = charon6Root();
const charons = [
  { name: 'the system’s charon', root: undefined, why: unavailable },
  'why' in six
    ? { name: 'charon 6.0', root: undefined, why: six.why }
    : { name: 'charon 6.0', root: six.root, why: unavailable },
];

for (const { name, root, why } of charons) {
  if (why !== undefined) {
    console.error(`SKIPPED: ${name}: ${why}`);
    test.skip(`${name} (${why})`, () => {});
    continue;
  }
  test(`${name}: what it can do is asked of it, and a profile that needs more is refused`, async (t) => {
    const namespace = await createNamespace('charon');
    t.teardown(namespace.remove);
    const process = await startCharon(namespace, root === undefined ? {} : { root });
    t.teardown(() => process.stop());
    const session = await connectVici({ path: process.socket, timeoutMs: 30_000 });
    t.teardown(() => session.close());
    const charon = createCharon(session);
    const { version } = await charon.version();
    const keyExchanges = await charon.keyExchanges();
    t.log(version, keyExchanges.join(' '));
    t.is(version.startsWith('6.'), root !== undefined);
    t.true(keyExchanges.includes('CURVE_25519'));
    for (const profile of ['modern', 'starlingx', 'fips'] as const) {
      t.notThrows(() => assertSupported(profile, { version, keyExchanges }));
    }
    if (!keyExchanges.includes('ML_KEM_768')) {
      t.throws(() => assertSupported('pq', { version, keyExchanges }), {
        message: new RegExp(`proposals pq: this charon \\(${version}\\) has no ML_KEM_768`),
      });
    }
  });
}
