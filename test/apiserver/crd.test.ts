import { join } from 'node:path';
import { stringify } from 'yaml';
import { parseItems } from '../../src/cluster/policies/items.ts';
import { apiserverTest } from '../helpers/kube/apiserver-test.ts';
import { ROOT } from '../helpers/unit/root.ts';

const good = { name: 'web', servicename: 'web', servicens: 'ns', serviceports: 'tcp/80' };
const policy = (policies: unknown): object => ({
  apiVersion: 'starlingx.io/v1',
  kind: 'IPsecPolicy',
  metadata: { name: 'p' },
  spec: { policies },
});

/** What an item is changed to, and what the API server says of it. */
const REFUSED: readonly (readonly [string, unknown, RegExp])[] = [
  ['no ports', [{ ...good, serviceports: undefined }], /serviceports: Required value/],
  ['no name', [{ ...good, name: undefined }], /name: Required value/],
  ['no service', [{ ...good, servicename: undefined }], /servicename: Required value/],
  ['no namespace', [{ ...good, servicens: undefined }], /servicens: Required value/],
  ['protocol alone', [{ ...good, serviceports: 'udp' }], /serviceports: .*is not <protocol>\/<port>/],
  ['protocol and slash', [{ ...good, serviceports: 'udp/' }], /serviceports: .*is not <protocol>\/<port>/],
  ['port alone', [{ ...good, serviceports: '53' }], /serviceports: .*not tcp, udp or sctp/],
  ['unknown protocol', [{ ...good, serviceports: 'icmp/1' }], /serviceports: .*not tcp, udp or sctp/],
  ['empty', [{ ...good, serviceports: '' }], /serviceports: .*empty item/],
  ['empty item', [{ ...good, serviceports: 'tcp/1,,tcp/2' }], /serviceports: .*empty item/],
  ['empty item at the end', [{ ...good, serviceports: 'tcp/1, ' }], /serviceports: .*empty item/],
  ['port 0', [{ ...good, serviceports: 'tcp/0' }], /serviceports: .*1 to 65535/],
  ['port 65536', [{ ...good, serviceports: 'tcp/65536' }], /serviceports: .*1 to 65535/],
  ['port of six digits', [{ ...good, serviceports: 'tcp/100000' }], /serviceports: .*1 to 65535/],
  ['negative port', [{ ...good, serviceports: 'tcp/-1' }], /serviceports: .*1 to 65535/],
  ['port name', [{ ...good, serviceports: 'tcp/http' }], /serviceports: .*1 to 65535/],
  ['range without an end', [{ ...good, serviceports: 'tcp/10-' }], /serviceports: .*1 to 65535/],
  ['range of three', [{ ...good, serviceports: 'tcp/1-2-3' }], /serviceports: .*1 to 65535/],
  ['range from 0', [{ ...good, serviceports: 'tcp/0-5' }], /serviceports: .*1 to 65535/],
  ['two slashes', [{ ...good, serviceports: 'tcp/1/2' }], /serviceports: .*is not <protocol>\/<port>/],
  ['ports as a number', [{ ...good, serviceports: 53 }], /serviceports.*must be of type string/],
  ['ports as a list', [{ ...good, serviceports: ['tcp/1'] }], /serviceports.*must be of type string/],
  ['upper-case name', [{ ...good, name: 'Web' }], /name: .*lower-case/],
  ['empty name', [{ ...good, name: '' }], /name: .*lower-case/],
  ['name with a slash', [{ ...good, name: 'a/b' }], /name: .*lower-case/],
  ['name too long', [{ ...good, name: 'a'.repeat(64) }], /name: Too long/],
  ['service with a space', [{ ...good, servicename: 'a b' }], /servicename: .*lower-case/],
  ['namespace wildcard alone', [{ ...good, servicens: '*' }], /needs servicename "\*"/],
  ['a name twice', [good, good], /Duplicate value/],
  ['no list', 'all', /policies.*must be of type array/],
  ['an item that is a string', ['web'], /policies\[0\].*must be of type object/],
];

const ACCEPTED = [
  'udp/53,tcp/53,tcp/9153',
  'TCP/53',
  ' udp/53 , tcp/53 ',
  'tcp/8000-8010',
  'tcp / 1',
  'sctp/*',
  '*',
  'tcp/65535,udp/1-65535',
  'Sctp/7',
];

apiserverTest(
  "the API server takes StarlingX's manifests, and refuses what Trapline refuses",
  async (t, server) => {
    for (const name of ['ipsecpolicy-kube-dns-sample', 'ipsecpolicy-kube-dns-sample-update']) {
      await server.kubectl(['apply', '-f', join(ROOT, `conf/examples/${name}.yaml`)]);
    }
    t.regex(
      await server.kubectl(['get', 'ipsp']),
      /NAME +ACCEPTED +ENFORCED +PHASE +NODES +SERVICES +PODS +AGE/,
    );
    t.regex(await server.kubectl(['get', 'ipsecnodes', '--ignore-not-found', '-o', 'wide']), /^$/);

    for (const [title, policies, says] of REFUSED) {
      const said = await server.refused(
        ['create', '--validate=false', '-f', '-'],
        stringify(policy(policies)),
      );
      t.regex(said, says, `${title}: ${said}`);
      const own = Array.isArray(policies)
        ? parseItems([policy(policies) as Parameters<typeof parseItems>[0][number]], new Map())
        : undefined;
      t.true(
        own === undefined || own.problems.length > 0,
        `${title}: Trapline takes what the API server refuses`,
      );
    }
    for (const serviceports of ACCEPTED) {
      const manifest = policy([{ ...good, serviceports }]);
      t.is(await server.refused(['apply', '-f', '-'], stringify(manifest)), '', serviceports);
      const own = parseItems([manifest as Parameters<typeof parseItems>[0][number]], new Map());
      t.deepEqual(own.problems, [], serviceports);
    }
  },
);
