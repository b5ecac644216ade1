/** Where submodules come from. */
import { expect } from 'chai';
import * as E from 'fp-ts/lib/Either.js';

import { submoduleRemote, submoduleUrls } from '../../../src/decide/git/submodules.js';

describe('submoduleUrls', () => {
  it('finds the URL of each path, whatever the submodule is called', () => {
    const listing =
      'submodule.a.b.path\nlib/a\0submodule.a.b.url\n../a.git\0submodule.c.path\nlib/c\0submodule.d.url\nx\0';
    expect([...submoduleUrls(listing)]).to.deep.equal([['lib/a', '../a.git']]);
    expect(submoduleUrls('').size).to.equal(0);
  });
});

describe('submoduleRemote', () => {
  const urlOf = (parent: string, url: string | undefined): string | undefined => {
    const remote = submoduleRemote(parent, url);
    return E.isRight(remote) ? remote.right.url : undefined;
  };

  it('resolves relative URLs against the repository', () => {
    expect(urlOf('https://h/a/b.git', '../c.git')).to.equal('https://h/a/c.git');
    expect(urlOf('https://h/a/b.git/', './c')).to.equal('https://h/a/b.git/c');
    expect(urlOf('https://h:8443/a/b.git', '../../c')).to.equal('https://h:8443/c');
    expect(urlOf('git@h:a/b', '../c')).to.equal('git@h:a/c');
    expect(urlOf('ssh://git@h/a/b', '../c')).to.equal('ssh://git@h/a/c');
    expect(urlOf('https://h/a', 'https://other/c')).to.equal('https://other/c');
  });

  it('refuses what no repository may be, and what leads above the host', () => {
    for (const url of [
      undefined,
      'ext::sh -c id',
      'http://h/a',
      'file:///etc',
      '/etc',
      '-x',
      'https://u:p@h/a',
      '../../../../x',
      '..',
      'c',
    ])
      expect(urlOf('https://h/a/b.git', url), url).to.equal(undefined);
    expect(submoduleRemote('https://h/a', undefined)).to.deep.equal(E.left('.gitmodules has no URL for it'));
    expect(submoduleRemote('https://h/a', 'file:///etc')).to.deep.equal(
      E.left('its URL in .gitmodules is none of https://host/path, ssh://user@host/path and user@host:path'),
    );
  });
});
