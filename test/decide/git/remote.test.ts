/**
 * Properties of repository URLs:
 * - what is allowed leads to the host it is said to lead to, as the URL standard reads it, over https or ssh;
 * - nothing that is allowed begins with a dash, or has a user, host or port that does, a blank or a control character;
 * - credentials in a URL are refused, and never repeated in the refusal.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import * as E from 'fp-ts/lib/Either.js';

import { gitRemote } from '../../../src/decide/git/remote.js';

const isAllowed = (url: string): boolean => E.isRight(gitRemote(url));

/** Texts that are nearly URLs. */
const nearlyUrl = fc
  .tuple(
    fc.oneof(
      { weight: 3, arbitrary: fc.constantFrom('https://', 'ssh://') },
      { weight: 1, arbitrary: fc.constantFrom('http://', 'git://', 'ext::', 'file://', 'HTTPS://', '-', '') },
    ),
    fc.oneof(
      { weight: 3, arbitrary: fc.constant('') },
      { weight: 2, arbitrary: fc.constantFrom('git@', '-o@', 'u:p@', '@', '-oProxyCommand=x@') },
    ),
    fc.oneof(
      { weight: 2, arbitrary: fc.domain() },
      { weight: 1, arbitrary: fc.constantFrom('h', '-h', 'h-', '[::1]', 'h..i', 'ä', 'h%2d') },
      { weight: 1, arbitrary: fc.string({ maxLength: 8 }) },
    ),
    fc.oneof(
      { weight: 3, arbitrary: fc.constantFrom('', ':22', ':443', ':8443') },
      { weight: 1, arbitrary: fc.constantFrom(':0', ':99999', ':', ':-x', ':x') },
    ),
    fc.oneof(
      { weight: 3, arbitrary: fc.constantFrom('/', '/a/b.git', ':a/b', '/-x', '/../a') },
      { weight: 2, arbitrary: fc.constantFrom(':-x', '/a b', '/a%0ab', '/a%2', '', '//a', '/a?b', '/a#b') },
    ),
    fc.string({ maxLength: 2 }),
  )
  .map((parts) => parts.join(''));

describe('gitRemote', () => {
  it('allows https, ssh and the scp form', () => {
    const allowed: Readonly<Record<string, readonly [string, string]>> = {
      'https://example.com/a/b.git': ['https', 'example.com'],
      'https://Example.com:443/a': ['https', 'example.com'],
      'https://example.com:8443/a/%20b': ['https', 'example.com:8443'],
      'https://[::1]:8443/a': ['https', '[::1]:8443'],
      'ssh://git@example.com/a/b': ['ssh', 'example.com'],
      'ssh://example.com:22/~me/a': ['ssh', 'example.com'],
      'ssh://git@example.com:2222/a': ['ssh', 'example.com:2222'],
      'git@example.com:a/b.git': ['ssh', 'example.com'],
      'git@example.com:/srv/git/a': ['ssh', 'example.com'],
    };
    for (const [url, [scheme, authority]] of Object.entries(allowed))
      expect(gitRemote(url), url).to.deep.equal(E.right({ scheme, authority, url }));
  });

  it('refuses everything else', () => {
    for (const url of [
      '',
      'http://example.com/a',
      'git://example.com/a',
      'file:///etc',
      '/etc',
      'ext::sh -c id',
      'https::https://example.com/a',
      '--upload-pack=touch x',
      '-oProxyCommand=x',
      'ssh://-oProxyCommand=x/a',
      'ssh://-o@example.com/a',
      'git@-oProxyCommand=x:a',
      'git@example.com:-x',
      'https://example.com',
      'https://example.com/a b',
      'https://example.com/a\nb',
      'https://example.com/a%0ab',
      'https://example.com/a%zz',
      'https://example.com/a?b',
      'https://example.com/a#b',
      'https://example.com\\@evil.com/a',
      'https://example.com:0/a',
      'https://example.com:70000/a',
      'https://exämple.com/a',
      'ssh://git@exa%2dmple.com/a',
      'HTTPS://example.com/a',
      `https://example.com/${'a'.repeat(2048)}`,
    ])
      expect(isAllowed(url), url).to.equal(false);
  });

  it('takes an IPv4 address as four numbers, and no other way of writing one', () => {
    for (const host of [
      '127.0.0.1',
      '255.255.255.255',
      '1.2.3.4.',
      '10.0.0.1.example.com',
      '0x7f.com',
      '7'.repeat(3) + 'x',
    ])
      expect(isAllowed(`https://${host}/a/b.git`), host).to.equal(true);
    for (const host of [
      'A.0',
      '127.1',
      '2130706433',
      '0x7f.1',
      '0x7f000001',
      '127.0.0.01',
      '256.1.1.1',
      '1.2.3.4.5',
      '1.2.3',
      '0x',
    ])
      for (const url of [`https://${host}/a/b.git`, `ssh://git@${host}/a`, `git@${host}:a`])
        expect(isAllowed(url), url).to.equal(false);
  });

  it('refuses credentials without repeating them', () => {
    for (const url of [
      'https://token@h/a',
      'https://u:hunter2@h/a',
      'ssh://u:hunter2@h/a',
      'https://u:hunter2@h',
    ]) {
      const answer = gitRemote(url);
      expect(E.isLeft(answer) && answer.left, url).to.match(/must not hold credentials/);
      expect(JSON.stringify(answer)).to.not.match(/hunter2|token@/);
    }
  });

  it('holds for any text that is nearly a URL', () => {
    let allowed = 0;
    fc.assert(
      fc.property(nearlyUrl, (text) => {
        const answer = gitRemote(text);
        if (E.isLeft(answer)) return;
        allowed += 1;
        const { scheme, authority, url } = answer.right;
        expect(url).to.equal(text);
        expect(url).to.match(/^[\x21-\x7e]+$/);
        const [head = ''] = url.includes('://')
          ? (/^[^/]*\/\/[^/]*/.exec(url) ?? [])
          : (/^[^:]*:.?/.exec(url) ?? []);
        expect(head).to.not.match(/^-|\/\/-|@-|:-/);
        if (!url.includes('://')) {
          expect(scheme).to.equal('ssh');
          expect(url.split('@')[1]?.toLowerCase().startsWith(`${authority}:`)).to.equal(true);
          return;
        }
        const read = new URL(url.replace(/^ssh/, 'https'));
        expect(read.password).to.equal('');
        if (scheme === 'https') expect(read.username).to.equal('');
        expect(url.startsWith(`${scheme}://`)).to.equal(true);
        const port = /:(\d+)$/.exec(authority)?.[1];
        if (scheme === 'https') expect(read.port).to.equal(port === undefined ? '' : String(Number(port)));
      }),
      { numRuns: 3000 },
    );
    expect(allowed).to.be.above(50);
  });
});
