/**
 * A clock that shows milliseconds since the epoch and never jumps: it looks at the wall clock once, and goes
 * on by the monotonic one. Ages and limits are measured by it, so that a step of the wall clock neither ends
 * them at once nor makes them last for ever.
 */
export function steadyClock(
  wall: () => number = Date.now,
  monotonic: () => number = () => performance.now(),
): () => number {
  const ahead = wall() - monotonic();
  return () => Math.round(monotonic() + ahead);
}
