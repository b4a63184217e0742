import type { Failure } from '../ipsec/charon/failures.ts';
import type { ConnectionConfig } from '../ipsec/types.ts';
import type { ChildRef } from './first-use.ts';

/** What charon has, in numbers, and until when its certificate serves. */
export interface CharonReport {
  readonly ikeSas: number;
  readonly childSas: number;
  readonly certificateUntil: Date | null;
  /** The last failure with each connection that is not up, sorted by connection. */
  readonly failures: readonly Failure[];
}

export const NO_CHARON: CharonReport = { ikeSas: 0, childSas: 0, certificateUntil: null, failures: [] };

/** One session with a running charon: identity loaded, connections driven by the plan. */
export interface CharonSession {
  /** Loads what is new or changed since this session began; an equal connection costs nothing. */
  load(connections: readonly ConnectionConfig[]): Promise<void>;
  /** Unloads what is not among the connections, and ends the SAs of what is gone. */
  prune(connections: readonly ConnectionConfig[]): Promise<void>;
  report(): Promise<CharonReport>;
  /** Ends the IKE_SAs with these peers that are older than their last boot. */
  forgetRebooted(peers: readonly string[]): Promise<void>;
  /** Brings up what is not up, as far as it can be had in a few seconds. Never rejects. */
  bringUp(children: readonly ChildRef[]): Promise<void>;
  /** Resolves to the reason when the session ends, by charon's death or by `close`. */
  readonly closed: Promise<string>;
  close(): void;
}

export interface CharonLinkOptions {
  /** Opens a session and loads the identity into charon. */
  readonly open: (signal: AbortSignal) => Promise<CharonSession>;
  /** Called whenever a session begins or ends. */
  readonly onChange: () => void;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
}

const RETRY_MS = 500;

/** Keeps a session with charon, whichever of the two restarts. */
export interface CharonLink extends Omit<CharonSession, 'closed' | 'close'> {
  /** Empty while there is a session, otherwise why there is none. */
  error(): string;
  /** Runs until the signal aborts; never rejects. */
  run(signal: AbortSignal): Promise<void>;
}

export function createCharonLink({ open, onChange, sleep }: CharonLinkOptions): CharonLink {
  let session: CharonSession | undefined;
  let loaded: CharonSession | undefined;
  let error = 'not connected yet';
  return {
    error: () => error,
    async load(connections) {
      const current = session;
      await current?.load(connections);
      loaded = current;
    },
    // A session that began since then knows nothing of the connections yet: it is loaded in the next step.
    prune: async (connections) => (loaded === session ? session?.prune(connections) : undefined),
    report: async () => (await session?.report()) ?? NO_CHARON,
    forgetRebooted: async (peers) => session?.forgetRebooted(peers),
    bringUp: async (children) => session?.bringUp(children),
    async run(signal) {
      const close = (): void => session?.close();
      signal.addEventListener('abort', close);
      while (!signal.aborted) {
        try {
          session = await open(signal);
          error = '';
          onChange();
          error = await session.closed;
        } catch (cause) {
          error = cause instanceof Error ? cause.message : String(cause);
        }
        session = undefined;
        onChange();
        await sleep(RETRY_MS, signal);
      }
      signal.removeEventListener('abort', close);
    },
  };
}
