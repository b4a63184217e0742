import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import test from 'ava';
import { stampOf } from '../../src/util/stamp.ts';

test('a stamp changes when the file is replaced, written to or removed, and only then', (t) => {
  const folder = mkdtempSync('/tmp/trapline-stamp-');
  t.teardown(() => rmSync(folder, { recursive: true }));
  const path = `${folder}/file`;
  t.is(stampOf(path), '');
  writeFileSync(path, 'a');
  const first = stampOf(path);
  t.is(stampOf(path), first);
  writeFileSync(`${path}.new`, 'b');
  renameSync(`${path}.new`, path);
  const second = stampOf(path);
  t.not(second, first);
  appendFileSync(path, 'c');
  t.not(stampOf(path), second);
  rmSync(path);
  t.is(stampOf(path), '');
});
