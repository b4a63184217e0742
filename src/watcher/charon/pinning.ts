import type { Pins } from '../../ipsec/charon/pins.ts';

/** Longer than an initiator waits before it brings up the children; a peer that does not go on must not hold us to SAs that end. */
const LAST_MS = 15_000;
/** An initiator has a CHILD_SA this soon after we have it. */
const SETTLE_MS = 1_000;

/** Which SAs policies are held to while a peer replaces an IKE_SA. */
export interface Pinning {
  pins(): Pins;
  add(pins: Pins): void;
  /** A CHILD_SA with this reqid came up. */
  cameUp(reqid: number): void;
  /** The SA that policies are held to has ended. */
  wentDown(reqid: number, spi: number | undefined): void;
  stop(): void;
}

export function createPinning(onChange: () => void): Pinning {
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
        held.set(reqid, { spi, timer: setTimeout(release(reqid), LAST_MS) });
      }
      if (pins.size > 0) {
        onChange();
      }
    },
    cameUp(reqid) {
      const pin = held.get(reqid);
      if (pin !== undefined) {
        clearTimeout(pin.timer);
        pin.timer = setTimeout(release(reqid), SETTLE_MS);
      }
    },
    wentDown(reqid, spi) {
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
