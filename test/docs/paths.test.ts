import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { ROOT } from '../helpers/unit/root.ts';

const DOCUMENTS = ['ARCHITECTURE.md', 'CONTRIBUTING.md', 'docs/design.md'];

/** `src/a/{b,c}.ts` gives `src/a/b.ts` and `src/a/c.ts`. */
function expand(path: string): string[] {
  const [, before = '', options, after = ''] = /^([^{]*)\{([^}]*)\}(.*)$/.exec(path) ?? [];
  return options === undefined
    ? [path]
    : options.split(',').flatMap((option) => expand(`${before}${option}${after}`));
}

/** The paths of this repository that a document names between backticks, outside of blocks of code. */
function pathsIn(markdown: string): string[] {
  const prose = markdown.replace(/^```[\s\S]*?^```$/gm, '');
  const spans = [...prose.matchAll(/`([^`\n]+)`/g)].map(([, text = '']) => text);
  const paths = spans.filter((text) => /^(src|test|docs|bin|conf|pkg|scripts)\/[^\s…]*$/.test(text));
  return [...new Set(paths.filter((path) => !path.startsWith('pkg/dist')).flatMap(expand))];
}

const exists = (path: string): boolean =>
  path.includes('*') ? globSync(path, { cwd: ROOT }).length > 0 : existsSync(join(ROOT, path));

for (const document of DOCUMENTS) {
  const text = readFileSync(join(ROOT, document), 'utf8');

  test(`${document}: every path that it names is there`, (t) => {
    const paths = pathsIn(text);
    t.true(paths.length > 10);
    t.deepEqual(
      paths.filter((path) => !exists(path)),
      [],
    );
  });

  test(`${document}: every link to a file or a heading leads somewhere`, (t) => {
    const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);
    const broken = links.filter((link) => {
      const [path = '', anchor] = link.split('#');
      const file = path === '' ? join(ROOT, document) : join(ROOT, document, '..', path);
      return !existsSync(file) || (anchor !== undefined && !anchorsOf(file).includes(anchor));
    });
    t.deepEqual(broken, []);
  });
}

/** As a forge makes them of headings: lower case, without punctuation, hyphens for spaces. */
function anchorsOf(file: string): string[] {
  return [...readFileSync(file, 'utf8').matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}
