import test, { type ExecutionContext } from 'ava';
import { createNamespace, type Namespace, netnsUnavailable } from './netns.ts';

const unavailable = await netnsUnavailable();
if (unavailable !== undefined) {
  console.error(`SKIPPED: netns tier: ${unavailable}`);
}

/** An ava test of the netns tier with a namespace of its own, removed again however the test ends. */
export function netnsTest(
  title: string,
  body: (t: ExecutionContext, namespace: Namespace) => Promise<void>,
): void {
  if (unavailable !== undefined) {
    test.skip(`${title} (netns tier: ${unavailable})`, () => {});
    return;
  }
  test(title, async (t) => {
    const namespace = await createNamespace();
    t.teardown(namespace.remove);
    await body(t, namespace);
  });
}
