import type { Command, Run, RunResult, RunStream } from '../../../src/exec/types.ts';
import { policyKey } from '../../../src/ipsec/plan/ours.ts';
import type { XfrmPolicy } from '../../../src/ipsec/plan/types.ts';
import { ownPolicies, type TablePolicy } from '../../../src/ipsec/xfrm/kernel-policy.ts';
import type { Operation } from '../../../src/ipsec/xfrm/operation.ts';
import { parsePolicies } from '../../../src/ipsec/xfrm/parse/policy.ts';

/** A policy table behind a `Run` that understands what our wrapper says to `ip`, for tests without root. */
export interface FakeKernel {
  readonly run: Run;
  /** In pieces of some 100 bytes. */
  readonly stream: RunStream;
  /** Every process that was started. */
  readonly commands: Command[];
  /** `<dir> <selector>` to the rest of the line, as `ip` was told. */
  readonly table: Map<string, string>;
  /** Our policies in it, sorted by key. */
  readonly policies: () => XfrmPolicy[];
  /** The next batch fails at this line (counted from 0), with what `ip` says. */
  failAt: { readonly line: number; readonly said: string } | undefined;
  /** Lines that are refused, each time. */
  refuses: (line: string) => boolean;
  /** The next command throws this. */
  throws: Error | undefined;
}

const LINE =
  /^xfrm policy (add|update|delete) dir (\S+) (src \S+ dst \S+(?: proto \d+)?(?: [sd]port \d+)*)(?: (.*))?$/;
const GET = /^xfrm policy get dir (\S+ src .*)$/m;
const GET_ALL = new RegExp(GET, 'gm');
const BODY = /^priority (\d+) tmpl (src \S+ dst \S+) proto esp reqid (\d+) mode tunnel level (required|use)$/;

export function createFakeKernel(): FakeKernel {
  const kernel: FakeKernel = {
    commands: [],
    table: new Map(),
    policies: () => sorted(ownPolicies(parsePolicies(list(kernel).stdout))),
    failAt: undefined,
    refuses: () => false,
    throws: undefined,
    run: async (command) => {
      kernel.commands.push(command);
      const error = kernel.throws;
      kernel.throws = undefined;
      if (error !== undefined) {
        throw error;
      }
      if (command.args[0] === '-batch') {
        const input = command.input ?? '';
        return GET.test(input) ? answers(kernel, input) : batch(kernel, input);
      }
      return command.args.at(-1) === 'count' ? ok(count(kernel.table)) : list(kernel);
    },
    stream: async (command, take) => {
      const { stdout, ...result } = await kernel.run(command);
      for (const piece of stdout.match(/.{1,100}/gs) ?? []) {
        await take(piece);
      }
      return result;
    },
  };
  return kernel;
}

function batch(kernel: FakeKernel, input: string): RunResult {
  const { failAt, table } = kernel;
  kernel.failAt = undefined;
  let stdout = '';
  let number = 0;
  for (const line of input.split('\n').filter((text) => text !== '')) {
    if (line === 'xfrm policy count') {
      stdout += count(table);
      continue;
    }
    const said =
      number === failAt?.line ? failAt.said : kernel.refuses(line) ? 'Invalid argument' : apply(table, line);
    number += 1;
    if (said !== undefined) {
      return { exitCode: 2, stdout, stderr: `RTNETLINK answers: ${said}\nCommand failed -:${number}\n` };
    }
  }
  return ok(stdout);
}

function answers({ table }: FakeKernel, input: string): RunResult {
  let stdout = '';
  for (const [, key = ''] of input.matchAll(GET_ALL)) {
    const body = table.get(key);
    if (body === undefined) {
      return { exitCode: 2, stdout, stderr: 'RTNETLINK answers: No such file or directory\n' };
    }
    stdout += blockOf(key, body);
  }
  return ok(stdout);
}

function count(table: ReadonlyMap<string, string>): string {
  return `\t SPD IN 0 OUT ${table.size} FWD 0\n`;
}

function apply(table: Map<string, string>, line: string): string | undefined {
  const [, op, dir, selector, body = ''] = LINE.exec(line) ?? [];
  if (op === undefined || (op !== 'delete' && !BODY.test(body))) {
    throw new Error(`the fake kernel does not understand: ${line}`);
  }
  const key = `${dir} ${selector}`;
  if (op === 'delete') {
    return table.delete(key) ? undefined : 'No such file or directory';
  }
  if (op === 'add' && table.has(key)) {
    return 'File exists';
  }
  table.set(key, body);
  return undefined;
}

function list({ table }: FakeKernel): RunResult {
  return ok([...table].map(([key, body]) => blockOf(key, body)).join(''));
}

function blockOf(key: string, body: string): string {
  const [, dir, selector = ''] = /^(\S+) (.*)$/.exec(key) ?? [];
  const [, priority, ends, reqid, level] = BODY.exec(body) ?? [];
  const optional = level === 'use' ? '\t\tlevel use \n' : '';
  return `${selector} \n\tdir ${dir} priority ${priority} ptype main \n\ttmpl ${ends}\n\t\tproto esp reqid ${reqid} mode tunnel\n${optional}`;
}

function ok(stdout: string): RunResult {
  return { exitCode: 0, stdout, stderr: '' };
}

/** A policy as a listing of the kernel has it. */
export function listed({ template, ...rest }: XfrmPolicy): TablePolicy {
  const templates = [{ spi: 0, ...template, proto: 'esp', mode: 'tunnel' }];
  return { kind: 'policy', ...rest, action: 'allow', templates, flags: [] };
}

/** The same without the wrapper of `ip`, many times quicker: it takes operations, and throws at one that is out of place. */
export interface FakeTable {
  /** By key. */
  readonly table: Map<string, XfrmPolicy>;
  readonly eachPolicy: (take: (policy: TablePolicy) => void) => Promise<void>;
  /** @throws Error at an add of what is there, and at an update or delete of what is not there */
  readonly apply: (operations: readonly Operation[]) => Promise<void>;
}

export function createFakeTable(): FakeTable {
  const table = new Map<string, XfrmPolicy>();
  return {
    table,
    eachPolicy: async (take) => {
      for (const policy of table.values()) {
        take(listed(policy));
      }
    },
    apply: async (operations) => {
      for (const { op, policy } of operations) {
        const key = policyKey(policy);
        if (table.has(key) === (op === 'add')) {
          throw new Error(`${op} ${key}: ${table.has(key) ? 'it is there' : 'it is not there'}`);
        }
        if (op === 'delete') {
          table.delete(key);
        } else {
          table.set(key, policy);
        }
      }
    },
  };
}

/** By key, as the plan comes. */
export function sorted(policies: readonly XfrmPolicy[]): XfrmPolicy[] {
  return [...policies].sort((a, b) => (policyKey(a) < policyKey(b) ? -1 : 1));
}
