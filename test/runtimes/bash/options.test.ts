import { expect } from 'chai';

import { readOptions } from '../../../src/runtimes/bash/options.js';

const read = (argv: readonly string[], env: NodeJS.ProcessEnv = {}): unknown => {
  const options = readOptions(argv, env);
  return options._tag === 'Right' ? options.right : options.left;
};

describe('readOptions', () => {
  const tcp = (port: number): object => ({ kind: 'Tcp', host: '127.0.0.1', port });
  const env = { KRUNTIME_LISTEN_ADDRESS: 'unix:/run/9091.sock', KRUNTIME_WORK_DIR: '/pod/ws' };

  it('takes flags before the environment before defaults', () => {
    expect(read([])).to.deep.include({ address: tcp(9091), workDir: '/workspace', graceMillis: 2_000 });
    expect(read([], env)).to.deep.include({
      address: { kind: 'Unix', path: '/run/9091.sock' },
      workDir: '/pod/ws',
    });
    expect(read(['--port', '19091', '--work-dir', '/w'], env)).to.deep.include({
      address: tcp(19_091),
      workDir: '/w',
    });
    expect(read(['--listen', '127.0.0.1:1', '--port', '2'], env)).to.deep.include({ address: tcp(1) });
  });

  const wrong: ReadonlyArray<readonly [string[], RegExp]> = [
    [['--grace-millis', 'soon'], /--grace-millis soon: give a whole number from 0 to/],
    [['--head-bytes', '-1'], /--head-bytes/],
    [['--tail-bytes', '1e3'], /--tail-bytes/],
    [['--most-processes', '-1'], /--most-processes/],
    [['--warm-most', '257'], /from 0 to 256/],
    [['--warm-entrypoint', 'a/b'], /plain file name/],
    [['--log-level', 'loud'], /--log-level: give one of/],
    [['--port', '65536'], /is not an address/],
    [['--no-such'], /no-such/],
    [['stray'], /stray/],
  ];
  for (const [argv, message] of wrong)
    it(`refuses ${argv.join(' ')}`, () => expect(read(argv)).to.be.a('string').and.match(message));
});
