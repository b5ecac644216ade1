import { expect } from 'chai';

import { parseOrder, runManifest } from '../../../src/cli/run/manifest.js';
import { failing, typed } from '../typed.js';

const spec = async (...argv: ReadonlyArray<string>): Promise<unknown> =>
  parseOrder(await typed('run', ...argv)).spec;

describe('parseOrder', () => {
  const table: ReadonlyArray<readonly [argv: ReadonlyArray<string>, spec: unknown]> = [
    [['--', 'echo a && b'], { args: ['echo a && b'] }],
    [['--', 'grep', '-c', 'x y', ''], { args: ['grep', '-c', 'x y', ''] }],
    [['--', '-n', '--', '--wait'], { args: ['-n', '--', '--wait'] }],
    [['-f', 'a.sh', '--', '1', '2'], { args: ['1', '2'] }],
    [['--entrypoint', 'bin/x'], { entrypoint: 'bin/x' }],
    [
      ['--repo-url', 'https://h/r', '--commit-sha', 'abc', '--entrypoint', 'x'],
      { source: { repoURL: 'https://h/r', commitSHA: 'abc' }, entrypoint: 'x' },
    ],
    [
      ['-e', 'A=1', '--env', 'B=x=y', '-e', 'A=2', '-e', 'C=', '--', 'a'],
      { args: ['a'], env: { A: '2', B: 'x=y', C: '' } },
    ],
    [
      ['--timeout', '1m30s', '--ttl', '0', '--', 'a'],
      { args: ['a'], timeout: '1m30s', ttlSecondsAfterFinished: 0 },
    ],
    [
      [
        '--retry-attempts',
        '3',
        '--retry-backoff',
        '500ms',
        '--retry-reason',
        'Timeout',
        '--retry-reason',
        'PodGone',
        '--',
        'a',
      ],
      {
        args: ['a'],
        retryPolicy: { maxAttempts: 3, backoff: '500ms', retryableReasons: ['Timeout', 'PodGone'] },
      },
    ],
    [
      ['--request', 'gpu=1', '--request', 'runs=2', '--', 'a'],
      { args: ['a'], resources: { requests: { gpu: 1, runs: 2 } } },
    ],
  ];
  for (const [argv, expected] of table)
    it(`krt run ${argv.join(' ')}`, async () => {
      expect(await spec(...argv)).to.deep.equal(expected);
    });

  const refused: ReadonlyArray<readonly [argv: ReadonlyArray<string>, text: RegExp]> = [
    [[], /nothing to run/],
    [['script.sh'], /"script.sh": the command of the Run stands after --; krt run -- script.sh/],
    [['a', '--', 'b'], /unexpected "a"/],
    [['-f', 'a', '--repo-url', 'u', '--commit-sha', 's'], /exclude each other/],
    [['--repo-url', 'u'], /one of --commit-sha and --ref/],
    [['--commit-sha', 'u', '--', 'a'], /need --repo-url/],
    [['--submodules', '--', 'a'], /need --repo-url/],
    [['--repo-url', 'u', '--commit-sha', 's', '--ref', 'r'], /one of --commit-sha and --ref/],
    [['-e', 'A', '--', 'a'], /--env "A" is not of the form KEY=VALUE/],
    [['-e', '=A', '--', 'a'], /not of the form/],
    [['--label', 'x', '--', 'a'], /--label "x"/],
    [['--timeout', '5', '--', 'a'], /--timeout: "5" is not a duration/],
    [['--retry-backoff', 'soon', '--', 'a'], /--retry-backoff: "soon"/],
    [['--retry-attempts', '0', '--', 'a'], /--retry-attempts 0 is not a whole number of at least 1/],
    [['--ttl', '-1', '--', 'a'], /--ttl -1/],
    [['--request', 'gpu=half', '--', 'a'], /gpu=half is not a whole number/],
    [['--name', 'A B', '--', 'a'], /cannot be the name of a run/],
    [['-r', 'x/y', '--', 'a'], /does not name a runtime/],
  ];
  for (const [argv, text] of refused)
    it(`refuses krt run ${argv.join(' ')}`, async () => {
      const { code, text: said } = await failing(async () => parseOrder(await typed('run', ...argv)));
      expect(said).to.match(text);
      expect(code).to.equal(2);
    });
});

describe('runManifest', () => {
  it('is the Run of the order, with nothing that was not asked for', async () => {
    const order = parseOrder(await typed('run', '-f', 'x', '--label', 'a=b', '-e', 'K=V'));
    expect(runManifest(order, { namespace: 'ns', runtime: 'bash', name: 'n', inline: 'echo' })).to.deep.equal(
      {
        apiVersion: 'kruntimes.io/v1alpha1',
        kind: 'Run',
        metadata: { name: 'n', namespace: 'ns', labels: { a: 'b' } },
        spec: { runtime: 'bash', env: { K: 'V' }, source: { inline: 'echo' } },
      },
    );
  });
});
