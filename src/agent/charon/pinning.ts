import type { Pins } from '../../ipsec/charon/sas/pins.ts';
import type { Pace } from './pace.ts';

/** Which SAs policies are held to while a peer replaces an IKE_SA. */
export interface Pinning {
  pins(): Pins;
  add(pins: Pins): void;
  /** A CHILD_SA with this reqid came up. */
  cameUp(reqid: number): void;
  /** This SA has ended, or is about to: no policy is to be held to it. */
  letGo(reqid: number, spi: number | undefined): void;
  stop(): void;
}

export function createPinning(
  { installMs, lastMs }: Pick<Pace, 'installMs' | 'lastMs'>,
  onChange: () => void,
): Pinning {
  const held = new Map<number, { readonly spi: number; timer: NodeJS.Timeout }>();
  const release = (reqid: number) => (): void => {
    held.delete(reqid);
    onChange();
  };
  return {
    pins: () => new Map([...held].map(([reqid, { spi }]) => [reqid, spi])),
    add(pins) {
      for (const [reqid, spi] of pins) {
        clearTimeout(held.get(reqid)?.timer);
        held.set(reqid, { spi, timer: setTimeout(release(reqid), lastMs) });
      }
      if (pins.size > 0) {
        onChange();
      }
    },
    cameUp(reqid) {
      const pin = held.get(reqid);
      if (pin !== undefined) {
        clearTimeout(pin.timer);
        pin.timer = setTimeout(release(reqid), installMs);
      }
    },
    letGo(reqid, spi) {
      const pin = held.get(reqid);
      if (pin?.spi === spi && pin !== undefined) {
        clearTimeout(pin.timer);
        release(reqid)();
      }
    },
    stop() {
      for (const { timer } of held.values()) {
        clearTimeout(timer);
      }
      held.clear();
    },
  };
}
