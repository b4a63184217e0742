import { readFileSync, writeFileSync } from 'node:fs';
import test from 'ava';
import { policyKey } from '../../../src/ipsec/plan/ours.ts';
import { plan } from '../../../src/ipsec/plan/plan.ts';
import type { XfrmPolicy } from '../../../src/ipsec/plan/types.ts';
import type { NodeCache } from '../../../src/rundir/schema.ts';
import { corednsAttachment, seedCache, seedCacheWithUnlisted } from '../../helpers/unit/cache.ts';
import { golden } from '../../helpers/unit/root.ts';

function line(policy: XfrmPolicy): string {
  const { src, dst, reqid, level } = policy.template;
  return `${policyKey(policy)} | priority ${policy.priority} tmpl ${src} ${dst} reqid ${reqid} ${level}`;
}

/** Compares with a golden file; UPDATE_GOLDENS=1 writes it anew. */
const matchesGolden = test.macro({
  exec(t, file: string, text: () => string) {
    const path = golden(`ipsec/plan/golden/${file}`);
    if (process.env.UPDATE_GOLDENS === '1') {
      writeFileSync(path, text());
    }
    t.is(text(), readFileSync(path, 'utf8'));
  },
  title: (_, file) => `golden: ${file}`,
});

const nodeScope = (): NodeCache => {
  const cache = seedCache({
    childSaScope: 'node',
    children: [{ name: 'pods', proto: 'any', ports: [] }],
  });
  const pods = (name: string): NodeCache['endpoints'][number]['ports'] =>
    cache.endpoints
      .flatMap((endpoint) => (endpoint.node === name ? endpoint.ports : []))
      .map((port) => ({ ...port, child: 'pods' }));
  return {
    ...cache,
    peers: cache.peers.map((peer, index) => ({ ...peer, reqids: { pods: 10_000_000 + index } })),
    endpoints: cache.endpoints.map((endpoint) => ({ ...endpoint, ports: pods(endpoint.node) })),
  };
};

const text = (cache: NodeCache): string => {
  const { policies, connections } = plan(cache, [corednsAttachment]);
  return `${policies.map(line).join('\n')}\n${JSON.stringify(connections, null, 2)}\n`;
};

test('service.txt', matchesGolden, 'service.txt', () => text(seedCache()));
test('node.txt', matchesGolden, 'node.txt', () => text(nodeScope()));
test('mesh.txt', matchesGolden, 'mesh.txt', () =>
  text({ ...nodeScope(), mesh: true, entries: [], endpoints: [] }),
);

test('unlisted.txt', matchesGolden, 'unlisted.txt', () => text(seedCacheWithUnlisted()));
test('node-traffic.txt', matchesGolden, 'node-traffic.txt', () =>
  text(seedCacheWithUnlisted({ nodeTraffic: true })),
);
test('strict.txt', matchesGolden, 'strict.txt', () => text(seedCache({ strict: true })));
