import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { charonTest, pair, trigger } from '../helpers/charon/charon-test.ts';
import { ROOT } from '../helpers/unit/root.ts';
import { until } from '../helpers/unit/until.ts';

interface DaemonSet {
  readonly kind: string;
  readonly spec: {
    readonly template: {
      readonly spec: {
        readonly containers: readonly {
          readonly name: string;
          readonly securityContext: { readonly capabilities: { readonly add: readonly string[] } };
        }[];
      };
    };
  };
}

const daemonSet = parseAllDocuments(readFileSync(join(ROOT, 'conf/install.yaml'), 'utf8'))
  .map((document) => document.toJS() as DaemonSet)
  .find(({ kind }) => kind === 'DaemonSet');
const container = daemonSet?.spec.template.spec.containers.find(({ name }) => name === 'charon');
const capabilities = (container?.securityContext.capabilities.add ?? []).map((name) => name.toLowerCase());

charonTest(
  "charon needs no other rights than its container's: it answers an acquire, and negotiates",
  async (t, a, b) => {
    const dns = pair('a', { dns: [53] });
    await b.charon.reconcile([pair('b', { dns: [53] })]);
    await a.charon.reconcile([dns]);
    t.deepEqual(capabilities, ['net_admin', 'net_bind_service']);
    await trigger(a, dns.children.find(({ name }) => name === 'udp_dns_egress')?.reqid ?? 0);
    await until('established', async () => (await a.charon.listSas())[0]?.state === 'ESTABLISHED');
    await until('the child was chosen', () => b.process.log().includes('found matching child config'));
    await a.charon.endIke((await a.charon.listSas()).map(({ uniqueId }) => uniqueId));
    t.notRegex(a.process.log(), /not permitted|EPERM/i);
  },
  { capabilities },
);
