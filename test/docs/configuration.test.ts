/** docs/configuration.md names every setting that there is, with its default, and no other. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { expect } from 'chai';
import * as yaml from 'js-yaml';

import { USAGE } from '../../src/controller/config.js';
import { DEFAULT_GIT_LIMITS, GitOrder, GitSpec } from '../../src/model/git.js';
import { usage } from '../../src/runtimes/bash/options.js';

const read = (path: string): string =>
  readFileSync(fileURLToPath(new URL(`../../${path}`, import.meta.url)), 'utf8');
const page = read('docs/configuration.md');

/** The part below a heading. */
const section = (heading: string): string => {
  const [, text = ''] = new RegExp(`\\n## ${heading}\\n([\\s\\S]*?)(?=\\n## |$)`).exec(page) ?? [];
  return text;
};
/** Rows of the section's tables: the names in the first cell, and the second cell. */
const rows = (heading: string): ReadonlyArray<readonly [string, string]> =>
  section(heading)
    .split('\n')
    .flatMap((line) => {
      const [, first = '', second = ''] = line.split('|').map((cell) => cell.trim());
      return [...first.matchAll(/`([^`]+)`/g)].map(([, name = '']) => [name, second] as const);
    });
const names = (heading: string): ReadonlyArray<string> => rows(heading).map(([name]) => name);

/** Paths of all values that are no filled map, with the value as JSON. */
const leaves = (value: unknown, path = ''): ReadonlyArray<readonly [string, string]> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length > 0
    ? Object.entries(value).flatMap(([key, inner]) => leaves(inner, path === '' ? key : `${path}.${key}`))
    : [[path, `\`${JSON.stringify(value)}\``]];

/** Flags that a program's usage lists, with the default it tells. */
const flagsOf = (text: string): ReadonlyArray<string> =>
  [...text.matchAll(/^ {2}(--[\w-]+)/gm)].map(([, flag = '']) => flag).filter((flag) => flag !== '--help');

describe('docs/configuration.md', () => {
  for (const chart of ['kruntimes', 'kruntimes-runtimes'])
    it(`has every value of the chart ${chart}, with its default`, () => {
      const values = leaves(yaml.load(read(`charts/${chart}/values.yaml`)));
      expect(values.length).to.be.greaterThan(20);
      expect(rows(`Chart ${chart}`)).to.deep.equal(values);
    });

  it('has every flag of the operator, with its default', () => {
    expect(names('Operator')).to.deep.equal(flagsOf(USAGE));
    const told = (flag: string): string | undefined => {
      const entry = USAGE.split(/^ {2}(?=--)/m).find((text) => text.startsWith(`${flag} `)) ?? '';
      const [, value] = /\(default (\S+)[\s\S]*\)/.exec(entry) ?? [];
      // Words for "nothing".
      return value === undefined || /^(all|never|issued)\)?$/.test(value)
        ? undefined
        : value.replace(/\)$/, '');
    };
    for (const [flag, value] of rows('Operator'))
      expect([flag, value]).to.deep.equal([flag, told(flag) === undefined ? '' : `\`${told(flag)}\``]);
  });

  it('has every flag of the Bash Runtime Server', () => {
    expect(names('Bash Runtime Server')).to.deep.equal(flagsOf(usage));
  });

  it('has every limit of Git sources, with its default', () => {
    const limits: Readonly<Record<string, string>> = {
      timeout: `${DEFAULT_GIT_LIMITS.timeoutMs} ms`,
      maxBytes: String(DEFAULT_GIT_LIMITS.maxBytes),
      cacheBytes: String(DEFAULT_GIT_LIMITS.cacheBytes),
      diskBytes: String(DEFAULT_GIT_LIMITS.diskBytes),
    };
    const fields = Object.keys(GitSpec.props).filter((field) => field !== 'credentials');
    expect(rows('runtimed').filter(([name]) => name in limits)).to.deep.equal(
      fields.map((field) => [field, limits[field]]),
    );
    const [, told = ''] = rows('runtimed').find(([name]) => name === 'KRUNTIME_GIT') ?? [];
    expect([...told.matchAll(/`(\w+)`/g)].map(([, name]) => name).slice(-5)).to.deep.equal(
      Object.keys(GitOrder.props),
    );
  });

  it('has every variable that runtimed reads', () => {
    const variables = [...read('src/runtimed/config.ts').matchAll(/^\s*(K(?:RUNTIME|UBERNETES)_\w+):/gm)];
    expect(new Set(names('runtimed').filter((name) => /^K/.test(name)))).to.deep.equal(
      new Set(variables.map(([, name]) => name)),
    );
  });
});
