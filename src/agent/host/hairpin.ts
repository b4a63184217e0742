/**
 * The room `agent/host` brings the machine around XFRM in step: the hairpin and reassembly (this file),
 * sysctls, hash thresholds of the policy table, and routes where no other CNI keeps them. What it changes for
 * the whole machine it writes down in the run directory, so that `trapline-agent cleanup` can put it back. It
 * takes the runner of processes as an argument, imports `ipsec/hairpin` and `ipsec/plan`, and knows nothing
 * of the loop.
 */

import { existsSync } from 'node:fs';
import { type Hairpin, planHairpin } from '../../ipsec/hairpin/plan.ts';
import {
  DEFRAG_TABLE,
  DEFRAG_TEXT,
  type NftSet,
  renderTable,
  TABLE,
  tableSets,
} from '../../ipsec/hairpin/render.ts';
import type { NodeCache } from '../../rundir/schema.ts';
import { messageOf } from '../../util/message-of.ts';
import type { Guard } from './guard.ts';
import { type LinkOptions, removeLinks, setUpLinks } from './links.ts';
import {
  HairpinError,
  listTables,
  loadTable,
  loadText,
  type Nft,
  removeTables,
  settle,
  type Tables,
} from './nft.ts';

export type HairpinOptions = Nft & LinkOptions;

export interface KeepHairpin {
  /**
   * To be called at the agent's start, before anything is enforced: marks the node as unguarded if a table is
   * missing that the cache needs, or that it may need, as there is no cache yet. Never rejects.
   */
  readonly begin: (cache: NodeCache | null) => Promise<void>;
  /**
   * Brings tables and links in step with the cache. What is in step already is looked at again after
   * VERIFY_MS. Throws HairpinError with all that could not be laid or had to be left out.
   */
  readonly keep: (cache: NodeCache) => Promise<void>;
  /** Somebody has changed the tables: the next call looks at them, however recently they were looked at. */
  readonly look: () => void;
}

const VERIFY_MS = 30_000;
/** How soon what could not be laid is tried again. */
const RETRY_MS = 2_000;

/**
 * Remembers what nft lists after we loaded the tables: if it later lists something else, somebody has changed
 * them. The table for reassembly is laid first. While a table is missing or cannot be laid, the node is
 * marked as unguarded: fragments, and what others masquerade, can pass its policies by.
 */
export function createHairpin(options: HairpinOptions, guard: Guard): KeepHairpin {
  /** Our tables as nft listed them when they were laid, and what they were made from. */
  let laid: Tables = { defrag: '', table: '' };
  let wanted: string | undefined;
  let leftOut: readonly string[] = [];
  /** When the tables are looked at next, unless something else than `tried` is wanted. */
  let due = Number.NEGATIVE_INFINITY;
  let tried: string | undefined;

  /** Brings the tables in step. Throws HairpinError, RunError. */
  const lay = async (hairpin: Hairpin, sets: readonly NftSet[], found: Tables): Promise<void> => {
    if (found.defrag === '' || found.defrag !== laid.defrag) {
      const load = (): Promise<void> => loadText(options, DEFRAG_TEXT);
      laid = { ...laid, defrag: await settle(options, { name: DEFRAG_TABLE, load, expected: laid.defrag }) };
    }
    if (found.table === '' || found.table !== laid.table || wanted !== tried) {
      const load = async (): Promise<void> => {
        leftOut = [...hairpin.refused, ...(await loadTable(options, sets))];
      };
      const expected = wanted === tried ? laid.table : '';
      laid = { ...laid, table: await settle(options, { name: TABLE, load, expected }) };
      wanted = tried;
    }
  };

  /** Returns what went wrong. */
  const bringInStep = async (hairpin: Hairpin, sets: readonly NftSet[]): Promise<string[]> => {
    const problems: string[] = [];
    const succeeds = async (part: () => unknown): Promise<boolean> => {
      try {
        await part();
        return true;
      } catch (error) {
        problems.push(messageOf(error));
        return false;
      }
    };
    due = guard.now() + VERIFY_MS;
    const inStep = await succeeds(async () => {
      const found = await listTables(options);
      const lost = whatIsLost(found, laid);
      if (lost !== '') {
        await succeeds(() => guard.mark(lost));
        if (wanted !== undefined) {
          guard.onLost(lost);
        }
      }
      await lay(hairpin, sets, found);
    });
    await succeeds(() => (inStep ? guard.unmark() : guard.mark(problems.join('; '))));
    await succeeds(() => setUpLinks(options, hairpin));
    if (problems.length > 0) {
      due = Math.min(due, guard.now() + RETRY_MS);
    }
    return problems;
  };

  /** Nothing is protected: nothing is needed. Returns what went wrong. */
  const takeAway = async (): Promise<string[]> => {
    try {
      guard.unmark();
      await removeHairpin(options);
      [laid, wanted, leftOut, due] = [{ defrag: '', table: '' }, undefined, [], Number.POSITIVE_INFINITY];
      return [];
    } catch (error) {
      due = guard.now() + RETRY_MS;
      return [messageOf(error)];
    }
  };

  let problems: readonly string[] = [];
  return {
    begin: async (cache) => {
      const nothing: Tables = { defrag: '', table: '' };
      const needed = cache === null || planHairpin(cache) !== null;
      const lost = needed ? whatIsLost(await listTables(options).catch(() => nothing), laid) : '';
      if (lost !== '') {
        guard.mark(lost);
      }
    },
    look: () => {
      due = Number.NEGATIVE_INFINITY;
    },
    keep: async (cache) => {
      const hairpin = planHairpin(cache);
      const sets = hairpin === null ? [] : tableSets(hairpin);
      const next = hairpin === null ? '' : renderTable(sets);
      if (next !== tried || guard.now() >= due) {
        tried = next;
        problems = hairpin === null ? await takeAway() : await bringInStep(hairpin, sets);
      }
      const left = leftOut.length === 0 ? [] : [`nftables: left out, as refused: ${first(leftOut)}`];
      if (problems.length + left.length > 0) {
        throw new HairpinError([...problems, ...left].join('; '));
      }
    },
  };
}

const MOST_NAMED = 5;

function first(elements: readonly string[]): string {
  const more = elements.length - MOST_NAMED;
  return `${elements.slice(0, MOST_NAMED).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/** Why the tables are not as they were laid; empty if they are, or if they are there and never were laid. */
function whatIsLost(found: Tables, laid: Tables): string {
  const missing = [...(found.defrag === '' ? [DEFRAG_TABLE] : []), ...(found.table === '' ? [TABLE] : [])];
  if (missing.length > 0) {
    return `nftables: not there: ${missing.join(', ')}`;
  }
  const changed = (['defrag', 'table'] as const).some((one) => laid[one] !== '' && laid[one] !== found[one]);
  return changed ? 'nftables: somebody has changed a table of ours' : '';
}

/** Removes hairpin and reassembly. A part that does not exist is no error. Throws HairpinError, RunError. */
export async function removeHairpin(options: HairpinOptions): Promise<void> {
  if (existsSync(options.nft)) {
    await removeTables(options);
  }
  await removeLinks(options);
}
