import test from 'ava';
import { ipamUnavailable } from './ipam.ts';
import { netnsUnavailable } from './netns.ts';

const missing = ipamUnavailable() ?? (await netnsUnavailable());
if (missing !== undefined) {
  console.error(`SKIPPED: trapline-ipam: ${missing}`);
}

/** `test`, one after the other: times are part of what is tested. */
export const ipamTest = missing === undefined ? test.serial : test.serial.skip;
