import * as z from 'zod';
import type { PolicyItem } from '../cluster/policies/items.ts';
import type { EnablingState } from './enabling.ts';

/** A condition of an IPsecPolicy, as we write it. */
export const conditionSchema = z.object({
  type: z.enum(['Accepted', 'Enforced']),
  status: z.enum(['True', 'False']),
  observedGeneration: z.number(),
  reason: z.string(),
  message: z.string(),
  lastTransitionTime: z.string(),
});

/** Without its time, which is kept apart (`Written`). */
export type Condition = Readonly<Omit<z.infer<typeof conditionSchema>, 'lastTransitionTime'>>;

/** How many problems, or nodes, a message names. */
const NAMED = 5;
/** How long one of them may be, in characters. */
const LONGEST = 500;

/**
 * The condition Accepted: whether the whole policy can be in force. An item that is refused leaves the others
 * in force. `remarks` are added where there is no problem.
 */
export function acceptedCondition(
  observedGeneration: number,
  problems: readonly string[],
  remarks: readonly string[],
): Condition {
  const condition = (status: Condition['status'], reason: string, message: string): Condition => ({
    type: 'Accepted',
    status,
    observedGeneration,
    reason,
    message,
  });
  const [first] = problems;
  if (first === undefined) {
    return condition('True', 'Accepted', named(['every item is in force as written', ...remarks]));
  }
  const reason = /^(ServiceNotFound|PortNotFound)/.exec(first)?.[1] ?? 'InvalidItem';
  return condition('False', reason, named(problems));
}

interface Enforcement {
  readonly items: readonly PolicyItem[];
  /** One reason for each node that does not enforce the policy. */
  readonly missing: readonly string[];
  readonly nodes: number;
  readonly phase: EnablingState['phase'];
}

/** The condition Enforced: whether every node requires ESP for this generation. */
export function enforcedCondition(
  observedGeneration: number,
  { items, missing, nodes, phase }: Enforcement,
): Condition {
  const condition = (status: Condition['status'], reason: string, message: string): Condition => ({
    type: 'Enforced',
    status,
    observedGeneration,
    reason,
    message,
  });
  if (items.length === 0) {
    return condition('False', 'NothingToEnforce', 'no item is valid');
  }
  if (nodes === 0) {
    return condition('False', 'NoNodes', 'no node has an InternalIP and pod CIDRs');
  }
  if (phase !== 'Required') {
    return condition('False', 'Enabling', PHASE_MESSAGES[phase]);
  }
  return missing.length === 0
    ? condition('True', 'AllNodes', `enforced on ${nodes} of ${nodes} nodes`)
    : condition('False', 'NodeNotReady', named(missing));
}

function named(texts: readonly string[]): string {
  const more = texts.length > NAMED ? `; and ${texts.length - NAMED} more` : '';
  return `${texts.slice(0, NAMED).map(cut).join('; ')}${more}`;
}

/**
 * A node says what it likes, up to 32 KiB, and the API server refuses a whole status for one long message.
 */
function cut(text: string): string {
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}

const PHASE_MESSAGES = {
  Accepting:
    'phase 1 of 3: every node begins to let in ESP and plaintext of new ports, and still sends plaintext',
  Sending: 'phase 2 of 3: every node begins to send ESP, and still lets plaintext in',
} as const;
