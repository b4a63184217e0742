import { isOurPriority, isOurReqid, REQID_ANY } from '../../plan/ours.ts';
import type { Direction, Selector } from '../../plan/types.ts';
import type { KernelPolicy, KernelTemplate, TablePolicy } from '../kernel-policy.ts';
import { protocolOf } from '../protocol.ts';
import { blocksOf, nextBlock, UnknownLine, unreadable } from './block.ts';

export type { KernelPolicy } from '../kernel-policy.ts';

const SELECTOR =
  /^src (\S+) dst (\S+)(?: proto (\S+))?(?: sport (\d+))?(?: dport (\d+))?(?: ((?:type|code|key|dev|\(dport\)) .*?))?(?: uid \d+)?\s*$/;
const PLACE =
  /^\t(dir|socket) (\S+)(?: action (\S+))?(?: index (\d+))? priority (\d+)(?: ptype (\S+))?(?: share \S+)?(?: flag ([^(]*))?(?:\(0x[0-9a-f]+\))?\s*$/;
const TEMPLATE = /^\ttmpl src (\S+) dst (\S+)\s*$/;
const TEMPLATE_ID =
  /^\t\tproto (\S+)(?: spi (0x[0-9a-f]+)(?:\(\d+\))?)? reqid (\d+)(?:\(0x[0-9a-f]+\))? mode (\S+)\s*$/;
const LEVEL = /^\t\tlevel (required|use)(?: share \S+)?\s*$/;
const MARK = /^\tmark (\S+)\/(\S+)\s*$/;
const IF_ID = /^\tif_id (\S+)\s*$/;
const NO_MATTER =
  /^\t\t(?:enc|auth|comp)-mask |^\t(?:lifetime |lastused | {2}(?:limit:|expire |add |\d+\(bytes\)))/;
const USED = /^\t {2}add .+ use (.+)$/;
const NEVER_OURS = /^\tsecurity context /;

/** A whole policy as ours and most others are printed: one match instead of one for each line. */
const COMMON =
  /src (\S+) dst (\S+)(?: proto (\S+))?(?: sport (\d+))?(?: dport (\d+))? *\n\tdir (in|out|fwd) priority (\d+) ptype main *\n\ttmpl src (\S+) dst (\S+)\n\t\tproto (\S+) reqid (\d+) mode (\S+)\n(\t\tlevel use *\n)?(?!\t)/y;

type Parts = { -readonly [K in keyof TablePolicy]: TablePolicy[K] } & { templates: KernelTemplate[] };

/**
 * Parses the output of `ip xfrm policy`, with or without `-s`, of iproute2 6.1 (its `-json` prints the same
 * text).
 *
 * @throws XfrmError `unreadable` for a line that is not understood and may belong to a policy of ours; any
 * other policy with such a line is opaque
 */
export function parsePolicies(text: string): KernelPolicy[] {
  const policies: KernelPolicy[] = [];
  for (let at = 0; at < text.length; ) {
    const common = parseCommon(text, at);
    const end = common === undefined ? nextBlock(text, at) : COMMON.lastIndex;
    policies.push(...(common === undefined ? blocksOf(text.slice(at, end)).map(parseBlock) : [common]));
    at = end;
  }
  return policies;
}

/**
 * Parses the policy that begins at `at` if it is printed in the common form; `COMMON.lastIndex` then is where
 * it ends. Undefined for any other form.
 */
function parseCommon(text: string, at: number): TablePolicy | undefined {
  COMMON.lastIndex = at;
  const found = COMMON.exec(text);
  const proto = protocolOf(found?.[3] ?? 'any');
  if (found === null || proto === undefined) {
    return undefined;
  }
  const [, src = '', dst = '', , sport = '0', dport = '0', dir, priority, from = '', to = ''] = found;
  const [esp = '', reqid, mode = '', use] = found.slice(10);
  const level = use === undefined ? 'required' : 'use';
  return {
    kind: 'policy',
    dir: dir as Direction,
    selector: { src, dst, proto, sport: Number(sport), dport: Number(dport) },
    priority: Number(priority),
    action: 'allow',
    templates: [{ src: from, dst: to, proto: esp, spi: 0, reqid: Number(reqid), mode, level }],
    flags: [],
  };
}

function parseBlock(lines: readonly string[]): KernelPolicy {
  try {
    return parsePolicy(lines) ?? opaque(lines);
  } catch (error) {
    if (!(error instanceof UnknownLine)) {
      throw error;
    }
    if (mayBeOurs(lines.join('\n'))) {
      throw unreadable('ip xfrm policy', error);
    }
    return opaque(lines);
  }
}

function opaque(lines: readonly string[]): KernelPolicy {
  return { kind: 'opaque', text: lines.join('\n') };
}

/** Undefined for a policy that is understood and whose key no policy of ours could have. */
function parsePolicy(lines: readonly string[]): TablePolicy | undefined {
  const [first = '', second = '', ...rest] = lines;
  const selector = parseSelector(first);
  const [, table, dir, action = 'allow', index, priority, type = 'main', flags = ''] = match(PLACE, second);
  if (
    selector === undefined ||
    table !== 'dir' ||
    type !== 'main' ||
    rest.some((line) => NEVER_OURS.test(line))
  ) {
    return undefined;
  }
  if (dir !== 'in' && dir !== 'out' && dir !== 'fwd') {
    return undefined;
  }
  if (action !== 'allow' && action !== 'block') {
    throw new UnknownLine(second);
  }
  const policy: Parts = {
    kind: 'policy',
    dir,
    selector,
    priority: Number(priority),
    action,
    templates: [],
    flags: flags.split(' ').filter((flag) => flag !== ''),
    ...(index === undefined ? {} : { index: Number(index) }),
  };
  for (const line of rest) {
    parseAttribute(line, policy);
  }
  return policy;
}

function parseSelector(line: string): Selector | undefined {
  const [, src = '', dst = '', word = 'any', sport = '0', dport = '0', special] = match(SELECTOR, line);
  const proto = protocolOf(word);
  if (proto === undefined || special !== undefined) {
    return undefined;
  }
  return { src, dst, proto, sport: Number(sport), dport: Number(dport) };
}

function parseAttribute(line: string, policy: Parts): void {
  if ((USED.exec(line)?.[1] ?? '-').trim() !== '-') {
    policy.used = true;
  }
  if (NO_MATTER.test(line)) {
    return;
  }
  const template = TEMPLATE.exec(line);
  if (template !== null) {
    const [, src = '', dst = ''] = template;
    policy.templates.push({ src, dst, proto: '', spi: 0, reqid: 0, mode: '', level: 'required' });
    return;
  }
  const mark = MARK.exec(line);
  if (mark !== null) {
    policy.mark = { value: Number(mark[1]), mask: Number(mark[2]) };
    return;
  }
  const ifId = IF_ID.exec(line);
  if (ifId !== null) {
    policy.ifId = Number(ifId[1]);
    return;
  }
  const current = policy.templates.pop();
  if (current === undefined) {
    throw new UnknownLine(line);
  }
  policy.templates.push({ ...current, ...templatePart(line) });
}

function templatePart(line: string): Partial<KernelTemplate> {
  const level = LEVEL.exec(line)?.[1];
  if (level !== undefined) {
    return { level: level === 'use' ? 'use' : 'required' };
  }
  const [, proto = '', spi = '0', reqid, mode = ''] = match(TEMPLATE_ID, line);
  return { proto, spi: Number(spi), reqid: Number(reqid), mode };
}

function match(pattern: RegExp, line: string): RegExpExecArray {
  const found = pattern.exec(line);
  if (found === null) {
    throw new UnknownLine(line);
  }
  return found;
}

/**
 * Whether the text may be a policy of ours: it then has a priority in our band and a reqid of ours, or the
 * one for any child if it is for what comes in. Without that it is another's, however strange it looks. A
 * priority that cannot be found counts as ours.
 */
function mayBeOurs(text: string): boolean {
  const comesIn = /\tdir (?:in|fwd)\b/.test(text);
  const priority = /\bpriority (\d+)/.exec(text)?.[1];
  const inBand = priority === undefined || isOurPriority(Number(priority));
  return (
    !text.startsWith('src ') ||
    (inBand &&
      [...text.matchAll(/\breqid (\d+)/g)]
        .map(([, id]) => Number(id))
        .some((id) => isOurReqid(id) || (comesIn && id === REQID_ANY)))
  );
}
