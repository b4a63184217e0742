import { hrtime } from 'node:process';

/** Milliseconds since the machine booted (CLOCK_MONOTONIC): nobody can set it, and all processes share it. */
export function uptime(): number {
  return Number(hrtime.bigint()) / 1e6;
}
