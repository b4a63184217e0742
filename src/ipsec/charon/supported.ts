import { ViciError } from '../vici/error.ts';
import type { Profile } from './profile.ts';

/** Names of key exchanges that charon must have for a profile, as charon lists them. */
const NEEDED: Readonly<Partial<Record<Profile, readonly string[]>>> = { pq: ['CURVE_25519', 'ML_KEM_768'] };

/** Throws ViciError `refused` if this charon cannot do what the profile asks for. */
export function assertSupported(
  profile: Profile,
  { version, keyExchanges }: { readonly version: string; readonly keyExchanges: readonly string[] },
): void {
  const missing = (NEEDED[profile] ?? []).filter((name) => !keyExchanges.includes(name));
  if (missing.length > 0) {
    throw new ViciError(
      'refused',
      `proposals ${profile}: this charon (${version}) has no ${missing.join(', ')}; ` +
        'ML-KEM needs charon 6.0 with its plugin ml, or 6.0.2 with OpenSSL 3.5',
    );
  }
}
