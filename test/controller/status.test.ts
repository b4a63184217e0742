import test from 'ava';
import type { IPsecNode } from '../../src/cluster/contract/node-status.ts';
import type { Reached } from '../../src/cluster/contract/phases.ts';
import type { ClusterObjects } from '../../src/cluster/snapshot.ts';
import type { EnablingState } from '../../src/controller/enabling.ts';
import { type PolicyStatus, policyStatuses } from '../../src/controller/status.ts';
import { cluster, item, node, policy, service, slice } from '../helpers/unit/objects.ts';

const NOW = Date.parse('2026-11-21T12:00:00Z');

interface Report {
  readonly generation?: number;
  readonly healthy?: string;
  readonly silentMs?: number;
  readonly uid?: string;
  readonly reached?: Reached;
}

/** What a node's agent says of policy `p`. */
function reportOf(
  name: string,
  { generation = 2, healthy = '', silentMs = 0, uid = 'u', reached = 'require' }: Report = {},
): IPsecNode {
  return {
    metadata: { name, uid: '' },
    status: {
      observedPolicies: [{ name: 'p', uid, generation, reached }],
      failures: [],
      lastHeartbeat: new Date(NOW - silentMs).toISOString(),
      conditions: [{ type: 'Healthy', status: healthy === '' ? 'True' : 'False', message: healthy }],
    },
  };
}

const web = {
  services: [service('web', [{ port: 80 }])],
  endpointSlices: [slice('web', ['10.1.1.5', '10.1.2.5'], [{ port: 80, protocol: 'TCP' }])],
};
const p = (...items: object[]) => policy({ name: 'p', uid: 'u', generation: 2 }, ...items);

const REQUIRED: EnablingState = { uid: 'u', generation: 2, phase: 'Required', since: 0 };

function statusOf(objects: Partial<ClusterObjects>, reports: readonly IPsecNode[]): PolicyStatus {
  const status = policyStatuses(cluster({ ...web, ...objects }), reports, {
    now: NOW,
    phaseLimitMs: 10_000,
    enabling: new Map([['p', REQUIRED]]),
  }).get('p');
  if (status === undefined) {
    throw new Error('no status');
  }
  return status;
}

const condition = (status: PolicyStatus, type: string) =>
  status.conditions.find((each) => each.type === type);
const all = ['a', 'b', 'c'].map((name) => reportOf(name));

test('enforced when every node says so', (t) => {
  const status = statusOf({ policies: [p(item('web', 'tcp/80'))] }, all);
  t.like(status, {
    observedGeneration: 2,
    services: 1,
    pods: 2,
    nodes: 3,
    nodesEnforcing: 3,
    summary: '3/3',
  });
  t.like(condition(status, 'Enforced'), { status: 'True', reason: 'AllNodes', observedGeneration: 2 });
  t.like(condition(status, 'Accepted'), { status: 'True', reason: 'Accepted' });
});

test('not enforced while it is being enabled, and the phase is said', (t) => {
  const objects = cluster({ ...web, policies: [p(item('web', 'tcp/80'))] });
  const enabling = new Map<string, EnablingState>();
  const status = (reached: Reached): PolicyStatus | undefined =>
    policyStatuses(
      objects,
      ['a', 'b', 'c'].map((name) => reportOf(name, { reached })),
      { now: NOW, phaseLimitMs: 10_000, enabling },
    ).get('p');
  const said = (given: PolicyStatus | undefined): unknown =>
    given === undefined ? undefined : [given.phase, condition(given, 'Enforced')?.reason];
  t.deepEqual(said(status('none')), ['Accepting', 'Enabling']);
  t.deepEqual(said(status('none')), ['Accepting', 'Enabling']);
  t.deepEqual(said(status('accept')), ['Sending', 'Enabling']);
  t.deepEqual(said(status('send')), ['Required', 'NodeNotReady']);
  t.deepEqual(said(status('require')), ['Required', 'AllNodes']);
});

test('a node that does not take its step is waited for as long as is said', (t) => {
  const objects = cluster({ ...web, policies: [p(item('web', 'tcp/80'))] });
  const enabling = new Map<string, EnablingState>();
  const phaseAfter = (ms: number): unknown =>
    policyStatuses(objects, [], { now: NOW + ms, phaseLimitMs: 25_000, enabling }).get('p')?.phase;
  t.deepEqual([0, 24_999, 25_000].map(phaseAfter), ['Accepting', 'Accepting', 'Sending']);
});

const missing = test.macro<[report: IPsecNode | undefined, says: RegExp]>({
  exec: (t, report, says) => {
    const reports = [...all.slice(0, 2), ...(report === undefined ? [] : [report])];
    const status = statusOf({ policies: [p(item('web', 'tcp/80'))] }, reports);
    t.is(status.summary, '2/3');
    t.like(condition(status, 'Enforced'), { status: 'False', reason: 'NodeNotReady' });
    t.regex(condition(status, 'Enforced')?.message ?? '', says);
  },
  title: (title) => `not enforced: ${title}`,
});

test('no report', missing, undefined, /^c: no agent has reported$/);
test('an old generation', missing, reportOf('c', { generation: 1 }), /^c: enforces generation 1$/);
test(
  'a policy of the same name that was deleted',
  missing,
  reportOf('c', { uid: 'old' }),
  /^c: enforces nothing of it yet$/,
);
test(
  'a silent agent',
  missing,
  reportOf('c', { silentMs: 181_000 }),
  /^c: its agent has been silent since 2026/,
);
test(
  'an agent that is not well',
  missing,
  reportOf('c', { healthy: 'charon is away' }),
  /^c: charon is away$/,
);

const refused = test.macro<[items: readonly object[], reason: string, says: RegExp]>({
  exec: (t, items, reason, says) => {
    const status = statusOf({ policies: [p(...items)] }, all);
    t.like(condition(status, 'Accepted'), { status: 'False', reason });
    t.regex(condition(status, 'Accepted')?.message ?? '', says);
  },
  title: (title) => `not accepted: ${title}`,
});

test('no service', refused, [item('db', 'tcp/80')], 'ServiceNotFound', /ns\/db/);
test('no port', refused, [item('web', 'tcp/81')], 'PortNotFound', /tcp\/81/);
test(
  'a range backwards',
  refused,
  [item('web', 'tcp/9-8')],
  'InvalidItem',
  /spec\.policies\[0\]\.serviceports: "tcp\/9-8"/,
);
test(
  'one of two',
  refused,
  [item('web', 'tcp/80'), item('Bad', 'tcp/80')],
  'InvalidItem',
  /spec\.policies\[1\]\.name: "Bad"/,
);

test('nothing valid is nothing enforced', (t) => {
  const status = statusOf({ policies: [p(item('web', 'tcp'))] }, all);
  t.like(condition(status, 'Enforced'), { status: 'False', reason: 'NothingToEnforce' });
});

test('a broken edit: nodes go on with what the item said before, and so does the status', (t) => {
  const accepted = { items: new Map() };
  const statuses = [item('web', 'tcp/80'), item('web', 'tcp/60-50')].map((one) => {
    const context = { now: NOW, phaseLimitMs: 10_000, enabling: new Map([['p', REQUIRED]]), accepted };
    return policyStatuses(cluster({ ...web, policies: [p(one)] }), all, context).get('p');
  });
  const [, broken] = statuses;
  t.is(broken?.services, 1);
  t.like(condition(broken as PolicyStatus, 'Accepted'), { status: 'False', reason: 'InvalidItem' });
  t.regex(condition(broken as PolicyStatus, 'Accepted')?.message ?? '', /what it said before stays in force/);
  t.like(condition(broken as PolicyStatus, 'Enforced'), { status: 'True' });
});

test('a Service that is not there: the status says what stays in force', (t) => {
  const status = statusOf({ services: [], policies: [p(item('web', 'tcp/80'))] }, all);
  t.like(condition(status, 'Accepted'), { status: 'False', reason: 'ServiceNotFound' });
  t.regex(condition(status, 'Accepted')?.message ?? '', /ns\/web; what it selected, .* stays in force/);
});

test('no nodes', (t) => {
  const status = statusOf({ policies: [p(item('web', 'tcp/80'))], nodes: [] }, []);
  t.like(condition(status, 'Enforced'), { status: 'False', reason: 'NoNodes' });
});

test('a message names some of many nodes', (t) => {
  const nodes = Array.from({ length: 26 }, (_, index) => node(String.fromCharCode(97 + index)));
  const status = statusOf({ policies: [p(item('web', 'tcp/80'))], nodes }, []);
  t.regex(condition(status, 'Enforced')?.message ?? '', /^a: no agent .*; and 21 more$/);
});

test('an item of another policy that names the same service shares it', (t) => {
  const other = policy(
    { name: 'q', uid: 'v', generation: 1 },
    item('also', 'tcp/80', { servicename: 'web' }),
  );
  const status = statusOf({ policies: [p(item('web', 'tcp/80')), other] }, all);
  t.like(status, { services: 1, pods: 2 });
  t.is(condition(status, 'Accepted')?.status, 'True', 'a union, not a conflict');
});

test('two items of one name for two services are in force, and said to be so under other names', (t) => {
  const services = [...web.services, service('db', [{ port: 80 }])];
  const other = policy({ name: 'q', uid: 'v', generation: 1 }, item('web', 'tcp/80', { servicename: 'db' }));
  const accepted = condition(
    statusOf({ services, policies: [p(item('web', 'tcp/80')), other] }, all),
    'Accepted',
  );
  t.is(accepted?.status, 'True');
  t.regex(
    accepted?.message ?? '',
    /item name "web" is also that of ns\/db in policy q: its children are called web\.ns\.web$/,
  );
});
