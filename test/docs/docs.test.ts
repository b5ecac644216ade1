/** The documentation is true as far as a program can tell: links lead somewhere, manifests are those that are played. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { expect } from 'chai';

const root = fileURLToPath(new URL('../..', import.meta.url));

const pages = [
  ...readdirSync(root).filter((name) => name.endsWith('.md')),
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name)),
];
const textOf = (page: string): string => readFileSync(join(root, page), 'utf8');

/** Files and folders of ours that a page names in code: they begin with a folder that we have. */
const namedPaths = (text: string): ReadonlyArray<string> =>
  [...text.matchAll(/`((?:src|streams|test|docs|crds|charts|\.ci)\/[\w./-]+)`/g)].map(
    ([, path = '']) => path,
  );

describe('documentation', () => {
  for (const page of pages) {
    it(`${page} links to what is there`, () => {
      const links = [...textOf(page).matchAll(/\]\((?!https?:)([^)#]+)[^)]*\)/g)].map(
        ([, target = '']) => target,
      );
      expect(links.filter((target) => !existsSync(resolve(root, dirname(page), target)))).to.deep.equal([]);
    });

    it(`${page} names files that are there`, () => {
      expect(namedPaths(textOf(page)).filter((path) => !existsSync(join(root, path)))).to.deep.equal([]);
    });
  }

  it('the usage guide shows the manifests of the demo, byte for byte', () => {
    const shown = [...textOf('docs/usage.md').matchAll(/<!-- file: (\S+) -->\n```yaml\n([\s\S]*?)```/g)];
    expect(shown).to.have.length(4);
    for (const [, file = '', text] of shown) expect(text).to.equal(readFileSync(join(root, file), 'utf8'));
  });
});
