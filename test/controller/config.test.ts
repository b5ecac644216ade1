import { expect } from 'chai';
import * as E from 'fp-ts/lib/Either.js';

import { parseConfig } from '../../src/controller/config.js';

describe('parseConfig', () => {
  const read = (...argv: ReadonlyArray<string>) => {
    const config = parseConfig(argv);
    if (E.isLeft(config) || config.right === 'help') throw new Error('flags are refused');
    return config.right;
  };

  it('serves all namespaces unless some are named, each once', () => {
    expect(read().watchNamespaces).to.deep.equal([]);
    expect(
      read('--watch-namespace=a', '--watch-namespace=b', '--watch-namespace=a').watchNamespaces,
    ).to.deep.equal(['a', 'b']);
  });

  it("takes the namespace's Service for where pods dial in", () => {
    expect(read('--namespace=sys').sessionsUrl).to.equal('https://kruntimes-sessions.sys.svc:9443');
    expect(parseConfig(['--sessions-url=http://a'])).to.deep.equal(
      E.left('--sessions-url: "http://a" is not an https URL'),
    );
  });

  it('keeps finished Runs for ever unless told how long, or how many', () => {
    expect(read().retention).to.deep.equal({});
    expect(read('--default-ttl=720h', '--history-limit=0').retention).to.deep.equal({
      defaultTtlMs: 720 * 3600 * 1000,
      historyLimit: 0,
    });
    for (const flag of ['--default-ttl=30', '--history-limit=-1', '--history-limit=many'])
      expect(parseConfig([flag]))
        .to.have.property('left')
        .that.contains(flag.split('=')[0]);
  });

  it('says which flag is wrong', () => {
    expect(parseConfig(['--metrics-listen=8080']))
      .to.have.property('left')
      .that.contains('--metrics-listen');
    expect(parseConfig(['--watch']))
      .to.have.property('left')
      .that.contains('--watch');
  });
});
