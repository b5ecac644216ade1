import { expect } from 'chai';

import { environmentProxy } from '../../../src/io/kube/environment-proxy.js';

describe('environmentProxy', () => {
  const of = (server: string, env: Readonly<Record<string, string>>): string | undefined =>
    environmentProxy(new URL(server), env);
  const proxy = 'http://proxy:3128';

  it('goes by the scheme, in either case of the names', () => {
    expect(of('https://api.example', { HTTPS_PROXY: proxy })).to.equal(proxy);
    expect(of('https://api.example', { https_proxy: proxy })).to.equal(proxy);
    expect(of('http://api.example', { HTTPS_PROXY: proxy })).to.equal(undefined);
    expect(of('http://api.example', { HTTP_PROXY: proxy })).to.equal(proxy);
    expect(of('https://api.example', {})).to.equal(undefined);
  });

  it('is never used for this machine', () => {
    for (const host of ['localhost', '127.0.0.1', '127.8.8.8', '[::1]'])
      expect(of(`https://${host}:6443`, { HTTPS_PROXY: proxy })).to.equal(undefined);
  });

  for (const [exceptions, excepted, others] of [
    ['*', ['https://api.example'], []],
    ['example', ['https://example', 'https://api.example', 'https://a.b.example'], ['https://otherexample']],
    ['.example', ['https://api.example'], ['https://example']],
    ['*.example', ['https://api.example'], ['https://other']],
    ['api.example:6443', ['https://api.example:6443'], ['https://api.example']],
    ['other, api.example', ['https://api.example'], ['https://b.example']],
    ['10.0.0.0/8', ['https://10.1.2.3:6443'], ['https://11.1.2.3']],
    ['10.1.2.3', ['https://10.1.2.3'], ['https://10.1.2.30']],
    ['API.Example', ['https://api.example'], []],
    [' , ', [], ['https://api.example']],
  ] as ReadonlyArray<readonly [string, ReadonlyArray<string>, ReadonlyArray<string>]>)
    it(`NO_PROXY=${exceptions}`, () => {
      const env = { HTTPS_PROXY: proxy, NO_PROXY: exceptions };
      expect(excepted.map((server) => of(server, env))).to.deep.equal(excepted.map(() => undefined));
      expect(others.map((server) => of(server, env))).to.deep.equal(others.map(() => proxy));
    });
});
