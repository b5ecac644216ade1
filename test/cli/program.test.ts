import { expect } from 'chai';

import { globalFlags } from '../../src/cli/global-flags.js';
import { namesOf } from '../../src/cli/input.js';
import { failing, typed } from './typed.js';

describe('the command tree', () => {
  for (const argv of [
    ['-n', 'x', '-o', 'json', 'get', 'a'],
    ['get', 'a', '-n', 'x', '-o', 'json'],
    ['get', '-nx', '-ojson', 'a'],
    ['-n', 'y', 'get', '--namespace=x', '--output=json', 'a'],
  ])
    it(`takes global flags anywhere: krt ${argv.join(' ')}`, async () => {
      const input = await typed(...argv);
      expect(input.operands).to.deep.equal(['a']);
      expect(input.flags).to.include({ namespace: 'x', output: 'json' });
    });

  it('takes short flags together', async () => {
    expect((await typed('list', '-Aw')).flags).to.include({ allNamespaces: true, watch: true });
  });

  it('counts the operands after -- apart', async () => {
    expect(await typed('run', '-r', 'x', '--', 'a', '-n', '--', 'b')).to.deep.include({
      operands: ['a', '-n', '--', 'b'],
      operandsBeforeDashes: 0,
    });
    expect((await typed('run', 'a', '--', 'b')).operandsBeforeDashes).to.equal(1);
  });

  it('reads the global flags', async () => {
    expect(
      globalFlags(
        await typed('get', 'a', '--context', 'c', '--kubeconfig', 'k', '--request-timeout', '1m', '-v'),
      ),
    ).to.deep.equal({
      context: 'c',
      kubeconfig: 'k',
      namespace: undefined,
      requestTimeoutMs: 60_000,
      verbose: true,
    });
    expect(globalFlags(await typed('get', 'a', '--request-timeout', '0')).requestTimeoutMs).to.equal(0);
  });

  for (const [argv, text] of [
    [['lst'], /unknown command 'lst'; did you mean .*list/],
    [['list', '--phse', 'x'], /unknown option '--phse'; did you mean --phase/],
    [['--frob'], /unknown option '--frob'/],
    [['run', '--env'], /'-e, --env <key=value>' argument missing/],
    [['artifact'], /krt artifact needs a command: list, download/],
    [['artifact', 'get'], /unknown command 'get'/],
    [['version', 'x'], /too many arguments/],
    [['-v'], /krt needs a command/],
  ] as const)
    it(`krt ${argv.join(' ')} is a usage error`, async () => {
      const { code, text: said } = await failing(() => typed(...argv));
      expect(said).to.match(text);
      expect(code).to.equal(2);
    });
});

describe('namesOf', () => {
  it('takes names as they are pasted, each once', async () => {
    const input = await typed('get', 'a', 'run/b', 'runs/c', 'run.kruntimes.io/d', 'rn/a');
    expect(namesOf(input, 'run')).to.deep.equal(['a', 'b', 'c', 'd']);
  });

  for (const name of ['A', 'a_b', '-a', 'a/b/c', 'pod/a', '', 'a'.repeat(254), '../x'])
    it(`refuses ${JSON.stringify(name.slice(0, 20))}`, async () => {
      const input = await typed('get', '--', name);
      expect((await failing(() => namesOf(input, 'run'))).code).to.equal(2);
    });
});
