import { ViciError } from '../vici/error.ts';
import type { Profile } from './profile.ts';
import type { CharonVersion } from './replies.ts';

/** The first charon with additional key exchanges (RFC 9370). */
const PQ_MAJOR = 6;

/** Throws ViciError `refused` if this charon cannot do what the profile asks. */
export function assertSupported(profile: Profile, { version }: CharonVersion): void {
  if (profile === 'pq' && Number(version.split('.')[0]) < PQ_MAJOR) {
    throw new ViciError(
      'refused',
      `proposals pq: ML-KEM needs charon ${PQ_MAJOR}.0 or newer, this is ${version}`,
    );
  }
}
