import type { Failure } from '../../ipsec/charon/log/failures.ts';
import type { Pins } from '../../ipsec/charon/sas/pins.ts';
import type { ConnectionConfig } from '../../ipsec/plan/types.ts';
import type { NodeIdentity } from '../../pki/identity.ts';
import { messageOf } from '../../util/message-of.ts';
import type { ChildRef } from '../enabling/first-use.ts';

/** The fields of a node's identity that the cluster is told. */
export type CertificateReport = Pick<NodeIdentity, 'notBefore' | 'notAfter' | 'root' | 'trusted'>;

/** How many SAs charon has, its certificate, and its failures. */
export interface CharonReport {
  readonly ikeSas: number;
  readonly childSas: number;
  readonly certificate: CertificateReport | null;
  /** The last failure with each connection that is not up, sorted by connection. */
  readonly failures: readonly Failure[];
}

export const NO_CHARON: CharonReport = { ikeSas: 0, childSas: 0, certificate: null, failures: [] };

/**
 * One session with a running charon: the node's credentials are loaded, and the caller passes the connections
 * of the plan.
 */
export interface CharonSession {
  /**
   * Loads connections that are new or have changed since this session began; an equal connection costs
   * nothing.
   */
  load(connections: readonly ConnectionConfig[]): Promise<void>;
  /** Unloads connections that are not among these, and ends the SAs of what is gone. */
  prune(connections: readonly ConnectionConfig[]): Promise<void>;
  report(): Promise<CharonReport>;
  /** Ends those IKE_SAs with these peers that are older than the last boot of the peer. */
  forgetRebooted(peers: readonly string[]): Promise<void>;
  /**
   * Works with another identity from now on, and replaces the IKE_SAs of the former certificate. New ones
   * come up before old ones end.
   */
  renew(identity: NodeIdentity): Promise<void>;
  /** The SAs that `out` policies are pinned to at the moment. */
  pins(): Pins;
  /** Brings up those of the children that are not up, each within a time limit. Never rejects. */
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

/** Keeps a session with charon, whichever of agent and charon restarts. */
export interface CharonLink extends Omit<CharonSession, 'closed' | 'close'> {
  /** Empty while there is a session, otherwise why there is none. */
  error(): string;
  /** Runs until the signal aborts; never rejects. */
  run(signal: AbortSignal): Promise<void>;
}

export function createCharonLink({ open, onChange, sleep }: CharonLinkOptions): CharonLink {
  let session: CharonSession | undefined;
  let loaded: CharonSession | undefined;
  let latest: NodeIdentity | undefined;
  let error = 'not connected yet';
  return {
    error: () => error,
    async load(connections) {
      const current = session;
      await current?.load(connections);
      loaded = current;
    },
    // A session that began after the last `load` has none of the connections yet: the next step loads them.
    prune: async (connections) => (loaded === session ? session?.prune(connections) : undefined),
    report: async () => (await session?.report()) ?? NO_CHARON,
    forgetRebooted: async (peers) => session?.forgetRebooted(peers),
    async renew(identity) {
      latest = identity;
      await session?.renew(identity);
    },
    pins: () => session?.pins() ?? new Map(),
    bringUp: async (children) => session?.bringUp(children),
    async run(signal) {
      const close = (): void => session?.close();
      signal.addEventListener('abort', close);
      while (!signal.aborted) {
        try {
          session = await open(signal);
          // A new identity may have come while the session was opened with the former one.
          const renewing = latest === undefined ? undefined : session.renew(latest);
          renewing?.catch(() => undefined);
          error = '';
          onChange();
          error = await session.closed;
        } catch (cause) {
          error = messageOf(cause);
        }
        session = undefined;
        onChange();
        await sleep(RETRY_MS, signal);
      }
      signal.removeEventListener('abort', close);
    },
  };
}
