import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { parseAddress } from '../../src/ip/address.ts';
import { openStore } from '../../src/ipam/store.ts';

const address = parseAddress('10.0.0.9') ?? { family: 4, value: 0n };
const owner = (name: string) => ({ containerId: name, ifName: 'eth0', netns: `/run/netns/${name}` });

function folder(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), 'trapline-store-'));
  t.teardown(() => rmSync(path, { recursive: true }));
  return path;
}

test('who comes too late changes nothing about the owner, not even where its namespace is', (t) => {
  const store = openStore(folder(t));
  t.true(store.take(address, owner('first'), 0));
  t.false(store.take(address, owner('second'), 0));
  const { since: _, ...lease } = store.leases().get('10.0.0.9') ?? { since: 0 };
  t.deepEqual(lease, { ...owner('first'), address });
});

test('an address that is given back leaves no note of its namespace', (t) => {
  const path = folder(t);
  const store = openStore(path);
  store.take(address, owner('first'), 0);
  store.free(address);
  t.deepEqual([store.taken().size, readdirSync(join(path, '.trapline/netns')).length], [0, 0]);
  t.true(store.freedAt().has('10.0.0.9'));
});
