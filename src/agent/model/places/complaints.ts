import { BOUNDS } from '../../../cluster/bounds.ts';
import type { EndpointSlice } from '../../../cluster/objects.ts';
import type { ObjectProblem } from '../../../cluster/snapshot.ts';
import { shown } from '../../../util/printable.ts';
import { namespaceOf } from './slices.ts';

/** What does not count of a slice. */
export interface Complaint {
  readonly slice: EndpointSlice;
  readonly address: string;
  /** Follows the address in a sentence. */
  readonly why: string;
}

/** Reasons that a problem tells; a slice can have a thousand addresses. */
const SHOWN = 3;

/** One problem for each slice, whatever there is to say of it. */
export function problemsOf(complaints: readonly Complaint[]): ObjectProblem[] {
  const bySlice = Map.groupBy(complaints, ({ slice }) => `${namespaceOf(slice)}/${slice.metadata.name}`);
  return [...bySlice].map(([name, all]) => {
    const byReason = Map.groupBy(all, ({ why }) => why);
    const said = [...byReason].slice(0, SHOWN).map(([why, those]) => {
      const addresses = new Set(those.map(({ address }) => address));
      const [first = ''] = addresses;
      const more = addresses.size > 1 ? ` (and ${addresses.size - 1} more)` : '';
      return `${shown(first, BOUNDS.charactersPerValue)}${more} ${why}`;
    });
    const rest = byReason.size > SHOWN ? '; and more' : '';
    return {
      where: `EndpointSlice ${name}`,
      message: `endpoints.addresses: ${said.join('; ')}${rest}`,
    };
  });
}
