import test from 'ava';
import { keepAuthority } from '../../../src/controller/keys/authority.ts';
import type { NodeTrust } from '../../../src/controller/keys/bundle.ts';
import { createStepCounter } from '../../../src/controller/keys/step.ts';
import { decodeCertificates, fingerprint } from '../../../src/pki/certificate.ts';
import { fakeObjects } from '../../helpers/unit/fake-objects.ts';
import { operatorsCa } from '../../helpers/unit/operators-ca.ts';

const FOLDER = '/api/v1/namespaces/ns';
const SECRET = `${FOLDER}/secrets/trapline-ca`;
const IN_FORCE = `${FOLDER}/secrets/trapline-ca-in-force`;
const CONFIG_MAP = `${FOLDER}/configmaps/trapline-ca`;
const HOUR = 3_600_000;

/** A controller: nothing lives from one look to the next but what the API server keeps, and a step's time. */
function world() {
  const client = fakeObjects();
  const clock = { now: Date.now(), monotonic: 0 };
  const leader = () => createStepCounter(() => clock.monotonic);
  let steps = leader();
  const look = (nodes: readonly NodeTrust[] = []) =>
    keepAuthority(
      { client, namespace: 'ns', caDays: 100, caLimitMs: HOUR, now: () => clock.now },
      nodes,
      steps,
    );
  const succeed = (): void => {
    steps = leader();
  };
  const rotate = (): void => {
    const secret = client.objects.get(SECRET);
    const annotations = { ...secret?.metadata?.annotations, 'trapline.io/rotate': 'now' };
    client.objects.set(SECRET, { ...secret, metadata: { annotations } });
  };
  const told = () => client.objects.get(CONFIG_MAP)?.data as { 'ca.crt': string; root: string };
  return { client, clock, look, rotate, succeed, told };
}

const encoded = (pem: string): string => Buffer.from(pem).toString('base64');

test('the CA in force signs until nodes trust the next one, and one that lies holds it up for an hour', async (t) => {
  const { clock, look, rotate, succeed, told } = world();
  const first = await look();
  const root = told().root;
  const nodes = (trusted: readonly string[]): NodeTrust[] => [
    { name: 'a', root, trusted, silent: false },
    { name: 'liar', root, trusted: [], silent: false },
  ];
  t.deepEqual((await look(nodes([root]))).authority?.certificate, first.authority?.certificate);
  rotate();
  const during = await look(nodes([root]));
  t.deepEqual(during.waitingFor, ['a', 'liar']);
  t.is(fingerprint(during.authority?.certificate as never), root, 'the old one signs');
  const all = decodeCertificates('', told()['ca.crt']).map(fingerprint);
  t.is(all.length, 2);
  const [, next = ''] = all;
  clock.now += 10 * HOUR;
  await look(nodes(all));
  clock.monotonic += HOUR / 2;
  await look(nodes(all));
  succeed();
  await look(nodes(all));
  clock.monotonic += HOUR / 2 - 1;
  const later = await look(nodes(all));
  t.deepEqual([later.waitingFor, told().root], [['liar'], root]);
  t.is(fingerprint(later.authority?.certificate as never), root);
  clock.monotonic += 1;
  const over = await look(nodes(all));
  t.deepEqual(over.givenUp, ['liar']);
  t.is(told().root, next);
  t.is(fingerprint(over.authority?.certificate as never), next);
});

test('a Secret that an operator broke stops no signing', async (t) => {
  const { client, look, told } = world();
  await look();
  const { root } = told();
  const whole = client.objects.get(SECRET);
  for (const data of [{}, { 'tls.crt': encoded('none'), 'tls.key': '' }, { 'tls.crt': 5 }]) {
    client.objects.set(SECRET, { ...whole, data });
    const { authority, problem } = await look([{ name: 'a', root, trusted: [root], silent: false }]);
    t.is(fingerprint(authority?.certificate as never), root);
    t.regex(problem, /Secret ns\/trapline-ca/);
  }
  client.objects.delete(IN_FORCE);
  await t.throwsAsync(look(), { name: 'PkiError' });
});

test("an operator's intermediate CA: nodes trust it alone, and the same certificate at each look", async (t) => {
  const { client, look, told } = world();
  const { root, below } = await operatorsCa('ecdsa-p256', new Date());
  const data = {
    'tls.crt': encoded(`${below.certificate}${root}`),
    'tls.key': encoded(below.key),
  };
  client.objects.set(SECRET, { metadata: {}, data });
  await look();
  const [anchor, ...more] = decodeCertificates('', told()['ca.crt']);
  t.deepEqual(more, []);
  t.is(anchor?.subject, 'CN=operators-intermediate');
  t.is(anchor?.issuer, 'CN=operators-intermediate');
  const text = JSON.stringify(client.objects.get(CONFIG_MAP));
  await look();
  t.is(JSON.stringify(client.objects.get(CONFIG_MAP)), text);
});
