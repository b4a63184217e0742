import test, { type ExecutionContext } from 'ava';
import { netnsUnavailable } from '../netns/netns.ts';
import { assetsFolder } from './assets.ts';
import { createKubeLab, type KubeLab, type LabContext } from './lab.ts';

const assets = assetsFolder();
const unavailable = 'why' in assets ? assets.why : await netnsUnavailable();

/** `context` lives as long as the lab: what is to go with the lab, not with the test, is handed to its `teardown`. */
type LabTest = (
  title: string,
  body: (t: ExecutionContext, lab: KubeLab, context: LabContext) => Promise<void>,
) => void;

export interface LabOptions {
  readonly nodes: readonly string[];
  readonly certificates?: 'request' | 'files';
  /** Brings the lab to where the first test begins. */
  readonly begin: (lab: KubeLab) => Promise<void>;
}

/**
 * Tests of the apiserver tier over one lab, one of these for a file: it is set up before the first test and goes after the last.
 * The tests run in their order, and each finds what the one before has left; so after a failure the rest fail at once.
 */
export function testsOverOneLab({ nodes, certificates, begin }: LabOptions): LabTest {
  if (unavailable !== undefined) {
    console.error(`SKIPPED: apiserver tier: ${unavailable}`);
    return (title) => test.skip(`${title} (apiserver tier: ${unavailable})`, () => {});
  }
  const ends: (() => void | Promise<void>)[] = [];
  let log: LabContext['log'] = console.error;
  let lab: KubeLab | undefined;
  let unfinished = 'the set-up';
  const context: LabContext = {
    teardown: (end) => void ends.unshift(end),
    log: (...words) => log(...words),
    get passed() {
      return unfinished === '';
    },
  };
  test.before('the lab is set up', async (t) => {
    t.timeout(300_000);
    lab = await createKubeLab(context, nodes, certificates);
    await begin(lab);
    unfinished = '';
  });
  test.after.always('the lab is taken down', async (t) => {
    t.timeout(60_000);
    log = (...words) => t.log(...words);
    for (const end of ends) {
      await end();
    }
  });
  return (title, body) =>
    test.serial(title, async (t) => {
      t.timeout(420_000);
      if (unfinished !== '' || lab === undefined) {
        throw new Error(`it begins where "${unfinished}" should have ended`);
      }
      unfinished = title;
      await body(t, lab, context);
      unfinished = '';
    });
}
