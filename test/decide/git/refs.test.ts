/** Branches and tags: which names are allowed, and what a server's listing makes of them. */
import { execFileSync } from 'node:child_process';
import { expect } from 'chai';
import fc from 'fast-check';

import { commitOf, refPatterns, refProblem } from '../../../src/decide/git/refs.js';
import { whyNoGit } from '../../support/git.js';

const [A, B, C] = ['a'.repeat(40), 'b'.repeat(40), 'c'.repeat(64)];

describe('refProblem', () => {
  it('allows what branches and tags are named, and no option, pattern or hash', () => {
    for (const ref of ['main', 'feature/x', 'v1.2.3', 'refs/heads/main', 'HEAD', 'ümläut', 'a@b', 'x#1'])
      expect(refProblem(ref), ref).to.equal(undefined);
    for (const ref of [
      '',
      '-x',
      '--upload-pack=x',
      '/x',
      'x/',
      'a..b',
      'a b',
      'a*',
      'a?',
      'a[',
      'a~1',
      'a^',
      'a:b',
      'a\\b',
      '@{1}',
      'a.lock',
      'a.',
      '.a',
      'a/.b',
      'a//b',
      'a\nb',
      A,
      C,
    ])
      expect(refProblem(ref), ref).to.be.a('string');
  });

  it('allows nothing that git itself does not take for a name', function () {
    if (whyNoGit() !== undefined) this.skip();
    const names = fc
      .array(
        fc.constantFrom('a', 'b', '/', '.', '..', '-', '@', '{', '~', '*', ' ', 'lock', '.lock', 'ä', ':'),
        {
          minLength: 1,
          maxLength: 6,
        },
      )
      .map((parts) => parts.join(''));
    fc.assert(
      fc.property(names, (name) => {
        if (refProblem(name) !== undefined) return;
        execFileSync('git', ['check-ref-format', `refs/heads/${name}`]);
      }),
      { numRuns: 200 },
    );
  });
});

describe('commitOf', () => {
  it('prefers tags to branches, and what a tag points to', () => {
    const listing = `${A}\trefs/heads/x\n${B}\trefs/tags/x\n${C}\trefs/tags/x^{}\n`;
    expect(commitOf('x', listing)).to.equal(C);
    expect(commitOf('x', `${A}\trefs/heads/x\n${B}\trefs/tags/x\n`)).to.equal(B);
    expect(commitOf('refs/heads/x', listing)).to.equal(A);
  });

  it('takes only the name that was asked for, and only hashes', () => {
    expect(commitOf('x', `${A}\trefs/remotes/refs/heads/x\n`)).to.equal(undefined);
    expect(commitOf('x', 'ref: refs/heads/x\trefs/heads/x\n-x\trefs/heads/x\n')).to.equal(undefined);
    expect(refPatterns('x')).to.deep.equal([
      'refs/tags/x^{}',
      'refs/tags/x',
      'refs/heads/x^{}',
      'refs/heads/x',
    ]);
  });
});
