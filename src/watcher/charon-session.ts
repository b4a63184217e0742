import { type Charon, createCharon } from '../ipsec/charon/charon.ts';
import type { Profile } from '../ipsec/charon/profile.ts';
import { replaceOrphans } from '../ipsec/charon/replace-orphans.ts';
import { CONNECTION_PREFIX } from '../ipsec/connections.ts';
import type { ConnectionConfig } from '../ipsec/types.ts';
import { connectVici } from '../ipsec/vici/session.ts';
import type { Iproute2 } from '../ipsec/xfrm/iproute2.ts';
import { deleteState, listStates } from '../ipsec/xfrm/kernel.ts';
import type { NodeIdentity } from '../pki/identity.ts';
import type { CharonSession } from './charon-link.ts';

export interface CharonSessionOptions {
  /** charon's VICI socket. */
  readonly path: string;
  readonly profile: Profile;
  readonly iproute2: Iproute2;
  readonly readIdentity: () => Promise<NodeIdentity>;
  /** An SA went down: a trap may have come back that the plan has not. */
  readonly onDown: () => void;
  readonly onOrphans: (replaced: number) => void;
  readonly onError: (error: unknown) => void;
}

const CONNECT_MS = 5_000;
const INITIATE_MS = 15_000;

/** Opens a session with charon and loads the node's identity into it. Throws ViciError, PkiError. */
export async function openCharonSession(
  options: CharonSessionOptions,
  signal: AbortSignal,
): Promise<CharonSession> {
  const session = await connectVici({ path: options.path, timeoutMs: CONNECT_MS, signal });
  try {
    const charon = createCharon(session, options.profile);
    const identity = await options.readIdentity();
    await charon.loadIdentity(identity);
    await charon.onUpdown(({ up }) => (up ? undefined : options.onDown()));
    let loaded = false;
    return {
      load: async (connections) => void (await charon.load(connections)),
      async prune(connections) {
        await charon.prune(connections);
        if (!loaded) {
          loaded = true;
          adoptOrphans(options, connections, signal);
        }
      },
      async report() {
        const sas = (await charon.listSas()).filter(({ connection }) =>
          connection.startsWith(CONNECTION_PREFIX),
        );
        const childSas = sas.reduce((sum, { children }) => sum + children.length, 0);
        return { ikeSas: sas.length, childSas, certificateUntil: identity.notAfter };
      },
      closed: session.closed.then(({ message }) => message),
      close: () => void session.close(),
    };
  } catch (error) {
    await session.close();
    throw error;
  }
}

/** In a session of its own and in the background: a peer that is away must not hold up the next reconcile. */
function adoptOrphans(
  options: CharonSessionOptions,
  connections: readonly ConnectionConfig[],
  signal: AbortSignal,
): void {
  const replace = async (): Promise<void> => {
    const session = await connectVici({ path: options.path, timeoutMs: CONNECT_MS, signal });
    try {
      const replaced = await replaceWith(createCharon(session), options.iproute2, connections);
      if (replaced > 0) {
        options.onOrphans(replaced);
      }
    } finally {
      await session.close();
    }
  };
  replace().catch(options.onError);
}

async function replaceWith(
  charon: Charon,
  iproute2: Iproute2,
  connections: readonly ConnectionConfig[],
): Promise<number> {
  return await replaceOrphans(connections, {
    listKernel: () => listStates(iproute2),
    listSas: () => charon.listSas(),
    initiate: (connection, child) => charon.initiate(connection, child, INITIATE_MS),
    deleteKernel: (sa) => deleteState(iproute2, sa),
  });
}
