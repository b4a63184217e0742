import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { parse } from 'yaml';
import * as z from 'zod';
import { nodeStatusSchema } from '../../../src/cluster/contract/node-status.ts';
import { POLICY_PHASES } from '../../../src/cluster/contract/phases.ts';
import {
  IPSEC_NODE,
  IPSEC_NODES_PATH,
  IPSEC_POLICIES_PATH,
  IPSEC_POLICY,
} from '../../../src/cluster/contract/resources.ts';
import { ROOT } from '../../helpers/unit/root.ts';

interface Schema {
  readonly [key: string]: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
}

interface Definition {
  readonly spec: {
    readonly group: string;
    readonly names: { readonly kind: string; readonly plural: string };
    readonly versions: readonly {
      readonly name: string;
      readonly schema: {
        readonly openAPIV3Schema: { readonly properties: { readonly status: Schema } };
      };
    }[];
  };
}

const definition = (name: string): Definition =>
  parse(readFileSync(join(ROOT, 'conf/crds', `${name}.yaml`), 'utf8')) as Definition;

const statusOf = ({ spec }: Definition): Schema | undefined =>
  spec.versions[0]?.schema.openAPIV3Schema.properties.status;

/** What zod writes into a schema although the CRD needs no word of it. */
const UNSAID: readonly (readonly [key: string, value: unknown])[] = [
  ['$schema', 'https://json-schema.org/draft/2020-12/schema'],
  ['additionalProperties', false],
  ['minimum', Number.MIN_SAFE_INTEGER],
  ['maximum', Number.MAX_SAFE_INTEGER],
];

/**
 * Every field with all that its schema says, by path: what is on one side alone shows, too. Words for people
 * are left out.
 */
function fieldsOf(schema: Schema, path = 'status'): Record<string, unknown> {
  const { properties = {}, items, description: _words, required = [], ...rest } = schema;
  const said = Object.entries(rest).filter(
    ([key, value]) => !UNSAID.some(([unsaid, as]) => key === unsaid && value === as),
  );
  const inner = Object.entries(properties).map(([name, field]) => fieldsOf(field, `${path}.${name}`));
  const element = items === undefined ? {} : fieldsOf(items, `${path}[]`);
  const own = { ...Object.fromEntries(said), required: [...(required as string[])].sort() };
  return Object.assign({ [path]: own }, element, ...inner);
}

test('the CRD of IPsecNode and the schema of its status say the same', (t) => {
  const crd = statusOf(definition('ipsecnodes.trapline.io')) ?? {};
  const ours = z.toJSONSchema(nodeStatusSchema.partial()) as Schema;
  const fields = fieldsOf(crd);
  t.true(Object.keys(fields).length > 30, 'the walk reaches the leaves');
  t.deepEqual(fieldsOf(ours), fields);
});

const pathOf = ({ spec: { group, versions, names } }: Definition): string =>
  `/apis/${group}/${versions[0]?.name}/${names.plural}`;
const typeOf = ({ spec: { group, versions, names } }: Definition): object => ({
  apiVersion: `${group}/${versions[0]?.name}`,
  kind: names.kind,
});

test('kinds and paths are those of the CRDs', (t) => {
  const nodes = definition('ipsecnodes.trapline.io');
  const policies = definition('ipsecpolicies.starlingx.io');
  t.deepEqual([typeOf(nodes), pathOf(nodes)], [IPSEC_NODE, IPSEC_NODES_PATH]);
  t.deepEqual([typeOf(policies), pathOf(policies)], [IPSEC_POLICY, IPSEC_POLICIES_PATH]);
});

test('the CRD of IPsecPolicy has the phases, in their order', (t) => {
  const { 'status.phase': phase } = fieldsOf(statusOf(definition('ipsecpolicies.starlingx.io')) ?? {});
  t.like(phase, { type: 'string', enum: [...POLICY_PHASES] });
});
