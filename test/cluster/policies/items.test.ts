import test from 'ava';
import { parseItems } from '../../../src/cluster/policies/items.ts';
import { build, messages } from '../../helpers/unit/model.ts';
import { item, policy, service } from '../../helpers/unit/objects.ts';

const web = service('web', [{ port: 80 }]);
const good = item('good', 'tcp/80', { servicename: 'web' });

const accepted = test.macro({
  exec(t, text: string, ports: readonly string[]) {
    const services = [
      service('web', [
        { name: 'u', protocol: 'UDP', port: 80 },
        { name: 't', port: 80 },
        { name: 't1', port: 82 },
        { name: 's', protocol: 'SCTP', port: 90 },
      ]),
    ];
    const { content, problems } = build({ services, policies: [policy('p', item('web', text))] });
    t.deepEqual(problems, []);
    t.deepEqual(
      content.entries[0]?.ports.map(({ proto, target }) => `${proto}/${target}`),
      ports,
    );
  },
  title: (_, text) => `accepted: ${JSON.stringify(text)}`,
});

test(accepted, 'tcp/80', ['tcp/80']);
test(accepted, 'TCP/80,Udp/80', ['tcp/80', 'udp/80']);
test(accepted, ' tcp / 80 , udp/80 ', ['tcp/80', 'udp/80']);
test(accepted, 'sctp/90', ['sctp/90']);
test(accepted, 'tcp/80-82', ['tcp/80', 'tcp/82']);
test(accepted, 'tcp/1-65535', ['tcp/80', 'tcp/82']);
test(accepted, 'tcp/*', ['tcp/0']);
test(accepted, '*', ['any/0']);
test(accepted, 'tcp/80,tcp/80', ['tcp/80']);
test(accepted, 'tcp/080', ['tcp/80']);

const refused = test.macro({
  exec(t, raw: unknown, message: string) {
    const model = build({ services: [web], policies: [policy('p', good, raw)] });
    t.deepEqual(
      messages(model).filter((text) => !text.includes('never understood')),
      [`IPsecPolicy p: spec.policies[1]${message}`],
    );
    t.deepEqual(
      model.content.entries.map(({ name }) => name),
      ['good'],
      'the good item keeps working',
    );
  },
  title: (_, raw) => `refused: ${JSON.stringify(raw)}`,
});

const PORTS = [
  ['udp', 'item "udp" is not <protocol>/<port>'],
  ['', 'has an empty item'],
  ['   ', 'has an empty item'],
  ['tcp/53,', 'has an empty item'],
  [',tcp/53', 'has an empty item'],
  ['tcp/53,,udp/53', 'has an empty item'],
  ['tcp/0', 'item "tcp/0": ports are 1 to 65535'],
  ['tcp/65536', 'item "tcp/65536": ports are 1 to 65535'],
  ['tcp/99999999999', 'item "tcp/99999999999": ports are 1 to 65535'],
  ['tcp/-1', 'item "tcp/-1": ports are 1 to 65535'],
  ['tcp/5.3', 'item "tcp/5.3": ports are 1 to 65535'],
  ['tcp/0x35', 'item "tcp/0x35": ports are 1 to 65535'],
  ['tcp/1e3', 'item "tcp/1e3": ports are 1 to 65535'],
  ['tcp/http', 'item "tcp/http": ports are 1 to 65535'],
  ['tcp/', 'item "tcp/" is not <protocol>/<port>'],
  ['/53', 'item "/53": protocol "" is not tcp, udp or sctp'],
  ['53', 'item "53": protocol "53" is not tcp, udp or sctp'],
  ['tcp/53/53', 'item "tcp/53/53" is not <protocol>/<port>'],
  ['icmp/1', 'item "icmp/1": protocol "icmp" is not tcp, udp or sctp'],
  ['*/53', 'item "*/53": protocol "*" is not tcp, udp or sctp'],
  ['tcp/80-70', 'item "tcp/80-70": the range ends before it begins'],
  ['tcp/80-', 'item "tcp/80-": ports are 1 to 65535'],
  ['tcp/1-2-3', 'item "tcp/1-2-3": ports are 1 to 65535'],
  ['tcp/1-65536', 'item "tcp/1-65536": ports are 1 to 65535'],
  ['tcp/53;udp/53', 'item "tcp/53;udp/53" is not <protocol>/<port>'],
  ['tcp:53', 'item "tcp:53": protocol "tcp:53" is not tcp, udp or sctp'],
] as const;
for (const [text, reason] of PORTS) {
  test(refused, item('web', text), `.serviceports: ${JSON.stringify(text)} ${reason}`);
}

const NOT_A_NAME = 'is not a name of lower-case letters, digits, "-" and "."';
const NOT_A_STRING = 'Invalid input: expected string, received';
test(refused, item('web', 53), `.serviceports: ${NOT_A_STRING} number`);
test(refused, item('web', undefined), `.serviceports: ${NOT_A_STRING} undefined`);
test(refused, item('Web', 'tcp/80'), `.name: "Web" ${NOT_A_NAME}`);
test(refused, item('', 'tcp/80'), `.name: "" ${NOT_A_NAME}`);
test(refused, item('*', 'tcp/80'), `.name: "*" ${NOT_A_NAME}`);
test(refused, item('-web', 'tcp/80'), `.name: "-web" ${NOT_A_NAME}`);
test(refused, item('a_b', 'tcp/80'), `.name: "a_b" ${NOT_A_NAME}`);
test(refused, item('a\n', 'tcp/80'), `.name: "a\\n" ${NOT_A_NAME}`);
test(refused, item('a'.repeat(64), 'tcp/80'), `.name: "${'a'.repeat(64)}" ${NOT_A_NAME}`);
test(refused, item('web', 'tcp/80', { servicename: 'we b' }), `.servicename: "we b" ${NOT_A_NAME}`);
test(refused, item('web', 'tcp/80', { servicens: null }), `.servicens: ${NOT_A_STRING} null`);
test(refused, item('web', 'tcp/80', { servicens: '*' }), '.servicens: "*" needs servicename "*", not "web"');
test(refused, good, '.name: "good" is used twice');
test(refused, 'web', ': Invalid input: expected object, received string');
test(refused, null, ': Invalid input: expected object, received null');

test('an edit that breaks an item leaves its former form in force, until the item goes', (t) => {
  const before = build({ services: [web], policies: [policy('p', item('web', 'tcp/80'))] });
  const broken = build(
    { services: [web], policies: [policy('p', item('web', 'tcp/80,udp'))] },
    { knownItems: before.knownItems, previous: before.content },
  );
  t.deepEqual(broken.content, before.content);
  t.regex(messages(broken).join(), /what it said before stays in force/);
  const gone = build({ services: [web], policies: [policy('p')] }, { knownItems: broken.knownItems });
  t.deepEqual(gone.content.entries, []);
  const afterRestart = build({ services: [web], policies: [policy('p', item('web', 'tcp/80,udp'))] });
  t.deepEqual(afterRestart.content.entries, []);
});

test('a former form stays with its own policy', (t) => {
  const before = build({ services: [web], policies: [policy('p', item('web', 'tcp/80'))] });
  const other = build(
    { services: [web], policies: [policy('q', item('web', 'udp'))] },
    { knownItems: before.knownItems },
  );
  t.deepEqual(other.content.entries, []);
});

test('the same policies again, with what they made known, are not parsed again', (t) => {
  const policies = [policy('p', good)];
  const first = parseItems(policies, new Map());
  t.is(parseItems(policies, first.known), first);
  t.not(parseItems([...policies], first.known), first);
  t.not(parseItems(policies, new Map()), first);
});

test('of two items with one name the first is refused for good, as long as nobody edits them', (t) => {
  const policies = [policy('p', item('good', 'nonsense'), good)];
  const first = parseItems(policies, new Map());
  t.deepEqual(messages(first), messages(parseItems(policies, first.known)));
});
