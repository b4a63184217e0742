import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { parseItems } from '../../../src/cluster/policies/items.ts';
import { parseFile } from '../../../src/cluster/sources/parse-file.ts';
import { golden, ROOT } from '../../helpers/unit/root.ts';

const example = test.macro<[name: string, specs: readonly string[]]>({
  exec(t, name, specs) {
    const text = readFileSync(join(ROOT, `conf/examples/${name}.yaml`), 'utf8');
    t.is(text.replace(/^ +/gm, ''), readFileSync(golden(`cluster/sources/golden/${name}.txt`), 'utf8'));
    const { objects, problems } = parseFile(name, '', text, undefined);
    t.deepEqual(problems, []);
    const policies = objects.flatMap((parsed) => (parsed.list === 'policies' ? [parsed.object] : []));
    const items = parseItems(policies, new Map());
    t.deepEqual(items.problems, []);
    t.deepEqual(
      items.items.flatMap((item) =>
        item.specs.map(({ proto, first }) => `${item.namespace}/${item.service} ${proto}/${first}`),
      ),
      specs,
    );
  },
  title: (_, name) => `StarlingX's own manifest, word for word: ${name}`,
});

const TCP = [
  'kube-system/kube-dns tcp/53',
  'kube-system/kube-dns tcp/9153',
  'cert-manager/cm-cert-manager tcp/9402',
];
test(example, 'ipsecpolicy-kube-dns-sample', ['kube-system/kube-dns udp/53', ...TCP]);
test(example, 'ipsecpolicy-kube-dns-sample-update', TCP);
