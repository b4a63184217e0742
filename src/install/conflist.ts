import * as z from 'zod';

/** The entry that the installer puts into a conflist. */
export interface PluginEntry {
  readonly type: 'trapline';
  readonly [key: string]: unknown;
}

/** The outcome of an edit. `refused`: the text is no conflist that trapline can be in. */
export type Edited =
  | { readonly kind: 'changed'; readonly text: string }
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'refused'; readonly reason: string };

const conflistSchema = z.looseObject({
  plugins: z.array(z.looseObject({ type: z.string() })).min(1),
});

/** Versions that trapline does not speak: it cannot be in their chains. */
const TOO_OLD = ['0.1.0', '0.2.0', '0.3.0'];

/**
 * Puts trapline at the end of the chain, where the pod has its addresses. An entry that is there already and
 * is the wanted one stays where it is. Order and unknown keys stay.
 */
export function insertPlugin(text: string, entry: PluginEntry): Edited {
  return edit(text, (plugins) => {
    const [own, ...more] = plugins.filter(({ type }) => type === 'trapline');
    return own !== undefined && more.length === 0 && sameEntry(own, entry)
      ? plugins
      : [...withoutTrapline(plugins), entry];
  });
}

/** Removes every entry of trapline, and nothing else. */
export function removePlugin(text: string): Edited {
  return edit(text, withoutTrapline);
}

type Plugin = { readonly type: string };

const withoutTrapline = (plugins: readonly Plugin[]): readonly Plugin[] =>
  plugins.filter(({ type }) => type !== 'trapline');

function sameEntry(a: object, b: object): boolean {
  const sorted = (value: object): string => JSON.stringify(Object.entries(value).sort());
  return sorted(a) === sorted(b);
}

function edit(text: string, change: (plugins: readonly Plugin[]) => readonly Plugin[]): Edited {
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch (error) {
    return { kind: 'refused', reason: `not JSON: ${(error as Error).message}` };
  }
  const parsed = conflistSchema.safeParse(raw);
  if (!parsed.success) {
    return { kind: 'refused', reason: 'no chain: it has no list of plugins with types' };
  }
  const version = parsed.data.cniVersion;
  if (typeof version === 'string' && TOO_OLD.includes(version)) {
    return { kind: 'refused', reason: `cniVersion ${version}: trapline needs 0.3.1 or later` };
  }
  const before = parsed.data.plugins;
  const after = change(before);
  return after === before || JSON.stringify(after) === JSON.stringify(before)
    ? { kind: 'unchanged' }
    : { kind: 'changed', text: render(text, { ...(raw as object), plugins: after }) };
}

/** Writes JSON with the indentation of the original. */
function render(original: string, value: object): string {
  const indent = /\n([ \t]+)"/.exec(original)?.[1] ?? '';
  return `${JSON.stringify(value, null, indent)}${original.endsWith('\n') ? '\n' : ''}`;
}
