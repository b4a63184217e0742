import test, { type ExecutionContext } from 'ava';
import { type ApiServer, applyCrds, startApiServer } from './apiserver.ts';
import { assetsFolder } from './assets.ts';

const assets = assetsFolder();
if ('why' in assets) {
  console.error(`SKIPPED: apiserver tier: ${assets.why}`);
}

/** A test of the apiserver tier with a server of its own, CRDs applied. */
export function apiserverTest(
  title: string,
  body: (t: ExecutionContext, server: ApiServer) => Promise<void>,
): void {
  if ('why' in assets) {
    test.skip(`${title} (apiserver tier: ${assets.why})`, () => {});
    return;
  }
  test.serial(title, async (t) => {
    t.timeout(300_000);
    const server = await startApiServer();
    t.teardown(server.remove);
    await applyCrds(server);
    await body(t, server);
  });
}
