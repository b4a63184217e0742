/** The algorithms that a profile offers, best first, in the notation of swanctl.conf(5). */
export interface Proposals {
  readonly ike: readonly string[];
  readonly esp: readonly string[];
}

export type Profile = 'modern' | 'starlingx' | 'fips' | 'pq';

/**
 * - `modern`: AEAD only. Rekeyed CHILD_SAs get keys of their own (RFC 7296 2.17). Sequence numbers have 64
 *   bits (RFC 4303 2.2.1) and do not run out.
 * - `starlingx`: what StarlingX configures, for nodes that still run it.
 * - `fips`: approved algorithms only, no x25519.
 * - `pq`: `modern` with ML-KEM-768 as an additional key exchange (RFC 9370), where charon has it.
 */
export const PROFILES: Readonly<Record<Profile, Proposals>> = {
  modern: {
    ike: ['aes256gcm16-prfsha384-x25519', 'aes256gcm16-prfsha384-ecp256'],
    esp: ['aes256gcm16-x25519-esn-noesn', 'aes256gcm16-ecp256-esn-noesn'],
  },
  starlingx: {
    ike: ['aes128-sha256-prfaesxcbc-modp3072'],
    esp: ['aes128gcm16'],
  },
  fips: {
    ike: ['aes256gcm16-prfsha384-ecp384', 'aes256-sha384-prfsha384-ecp384'],
    esp: ['aes256gcm16-ecp384-esn-noesn', 'aes256-sha384-ecp384'],
  },
  pq: {
    ike: ['aes256gcm16-prfsha384-x25519-ke1_mlkem768'],
    esp: ['aes256gcm16-x25519-ke1_mlkem768-esn-noesn'],
  },
};
