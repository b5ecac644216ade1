import { expect } from 'chai';

import { isWarmEnv, type Plan, planCommand, planEntrypoint } from '../../../src/runtimes/bash/plan.js';

const plan = (name: string, text: string, isExecutable = false): Plan =>
  planEntrypoint(
    name,
    ['a'],
    { isExecutable, firstBytes: Buffer.from(text, 'latin1') },
    { bash: '/opt/bash', warmName: 'script' },
  );

describe('planEntrypoint', () => {
  const table: ReadonlyArray<
    readonly [string, string, boolean, Partial<Plan> & Readonly<{ argv?: readonly string[] }>]
  > = [
    ['script', 'echo', false, { kind: 'WarmScript', name: 'script' }],
    ['script', '', true, { kind: 'WarmScript' }],
    ['script', '#!/bin/bash\n', true, { kind: 'WarmScript' }],
    ['script', '#! /usr/bin/env bash\necho', false, { kind: 'WarmScript' }],
    ['script', '#!/opt/bash', false, { kind: 'WarmScript' }],
    ['other', 'echo', false, { kind: 'BashScript', name: 'other' }],
    ['-c', 'echo', false, { kind: 'BashScript', name: './-c' }],
    [
      'script',
      '#!/bin/bash -eu\n',
      false,
      { kind: 'Interpreter', argv: ['/bin/bash', '-eu', 'script', 'a'] },
    ],
    ['script', '#!/bin/sh\n', false, { kind: 'Interpreter', argv: ['/bin/sh', 'script', 'a'] }],
    [
      'x',
      '#!/usr/bin/env -S python3 -u \n',
      false,
      { kind: 'Interpreter', argv: ['/usr/bin/env', '-S python3 -u', 'x', 'a'] },
    ],
    ['-x', '#!/usr/bin/perl\n', false, { kind: 'Interpreter', argv: ['/usr/bin/perl', './-x', 'a'] }],
    ['tool', '\x7fELF\0\0', true, { kind: 'Command', argv: ['./tool', 'a'] }],
    ['tool', '\x7fELF\0\0', false, { kind: 'BashScript' }],
    ['script', 'echo\n\0\0', true, { kind: 'WarmScript' }],
  ];
  for (const [name, text, isExecutable, wanted] of table)
    it(`runs ${isExecutable ? 'executable ' : ''}${name} with ${JSON.stringify(text)} as ${wanted.kind}`, () => {
      expect(plan(name, text, isExecutable)).to.deep.include(wanted);
    });
});

describe('planCommand', () => {
  it('takes one argument for a command line, several for a command, none for nothing', () => {
    expect(planCommand(['a && b'])).to.deep.equal({ kind: 'CommandLine', line: 'a && b' });
    expect(planCommand(['a', 'b c'])).to.deep.equal({ kind: 'Command', argv: ['a', 'b c'] });
    expect(planCommand([])).to.equal(undefined);
  });
});

describe('isWarmEnv', () => {
  it('takes every plain name', () => {
    expect(isWarmEnv(['A', '_x', 'PATH', 'HOME', 'KRUNTIME_OUTPUTS', 'LANGUAGES', 'BAS'])).to.equal(true);
  });
  for (const name of [
    'IFS',
    'LC_ALL',
    'BASH_ENV',
    'BASH_FUNC_x%%',
    'a.b',
    'PS4',
    'OPTIND',
    'SHELLOPTS',
    '_',
    'UID',
    '1A',
  ])
    it(`leaves ${name} to a shell that is started with it`, () =>
      expect(isWarmEnv(['A', name])).to.equal(false));
});
