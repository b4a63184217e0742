import { isEveryPort } from '../../plan/ports.ts';
import type { Selector, Template, XfrmPolicy } from '../../plan/types.ts';
import type { Operation } from '../operation.ts';
import { PROTOCOL_NUMBERS } from '../protocol.ts';

export type { Operation } from '../operation.ts';

/**
 * One line for `ip -batch`: `xfrm policy add dir out src A dst B proto 17 sport 53 priority N
 * tmpl src X dst Y proto esp reqid R mode tunnel level required`; a delete ends after the selector.
 */
export function renderOperation({ op, policy }: Operation): string {
  const place = `dir ${policy.dir} ${renderSelector(policy.selector)}`;
  return op === 'delete' ? `xfrm policy delete ${place}` : `xfrm policy ${op} ${place} ${renderBody(policy)}`;
}

/** One line for `ip -batch` that asks for one policy; `ip` prints it as in a listing. */
export function renderQuestion({ dir, selector }: Pick<XfrmPolicy, 'dir' | 'selector'>): string {
  return `xfrm policy get dir ${dir} ${renderSelector(selector)}`;
}

function renderSelector({ src, dst, proto, sport, dport }: Selector): string {
  const protocol = proto === 'any' ? '' : ` proto ${PROTOCOL_NUMBERS[proto]}`;
  const source = isEveryPort(sport) ? '' : ` sport ${sport}`;
  const destination = isEveryPort(dport) ? '' : ` dport ${dport}`;
  return `src ${src} dst ${dst}${protocol}${source}${destination}`;
}

function renderBody({ priority, template }: XfrmPolicy): string {
  return `priority ${priority} ${renderTemplate(template)}`;
}

function renderTemplate({ src, dst, reqid, level, spi }: Template): string {
  const sa = spi === undefined ? '' : ` spi 0x${spi.toString(16)}`;
  return `tmpl src ${src} dst ${dst} proto esp${sa} reqid ${reqid} mode tunnel level ${level}`;
}
