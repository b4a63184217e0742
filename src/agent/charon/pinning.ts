import type { Pins } from '../../ipsec/charon/sas/pins.ts';
import type { Pace } from './pace.ts';

/**
 * Remembers which SAs `out` policies are pinned to while a peer replaces an IKE_SA (docs/design.md, Replacing
 * SAs).
 */
export interface Pinning {
  pins(): Pins;
  add(pins: Pins): void;
  /** A CHILD_SA with this reqid came up: its pin ends once the initiator has the CHILD_SA too. */
  cameUp(reqid: number): void;
  /** This SA has ended or is about to: ends its pin. */
  unpin(reqid: number, spi: number | undefined): void;
  stop(): void;
}

export function createPinning(
  { installMs, lastMs }: Pick<Pace, 'installMs' | 'lastMs'>,
  onChange: () => void,
): Pinning {
  const pinned = new Map<number, { readonly spi: number; timer: NodeJS.Timeout }>();
  const release = (reqid: number) => (): void => {
    pinned.delete(reqid);
    onChange();
  };
  return {
    pins: () => new Map([...pinned].map(([reqid, { spi }]) => [reqid, spi])),
    add(pins) {
      for (const [reqid, spi] of pins) {
        clearTimeout(pinned.get(reqid)?.timer);
        pinned.set(reqid, { spi, timer: setTimeout(release(reqid), lastMs) });
      }
      if (pins.size > 0) {
        onChange();
      }
    },
    cameUp(reqid) {
      const pin = pinned.get(reqid);
      if (pin !== undefined) {
        clearTimeout(pin.timer);
        pin.timer = setTimeout(release(reqid), installMs);
      }
    },
    unpin(reqid, spi) {
      const pin = pinned.get(reqid);
      if (pin?.spi === spi && pin !== undefined) {
        clearTimeout(pin.timer);
        release(reqid)();
      }
    },
    stop() {
      for (const { timer } of pinned.values()) {
        clearTimeout(timer);
      }
      pinned.clear();
    },
  };
}
