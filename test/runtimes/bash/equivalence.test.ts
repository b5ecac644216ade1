/**
 * What a script sees in a warm shell is what it sees as `bash script args` started for it alone; and every argument and
 * environment value arrives byte for byte.
 */
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are shell's.
import { spawnSync } from 'node:child_process';
import { chmodSync } from 'node:fs';
import { join } from 'node:path';

import { expect } from 'chai';
import * as fc from 'fast-check';

import { type Harness, startHarness } from './harness.js';

const args = ['one', 'two words', '', 'it\'s $HOME `x` \\ "q"', '-n'];

const scripts: Readonly<Record<string, string>> = {
  'names and arguments':
    'echo "$0|$#|$*|$-|$_|${BASH_SOURCE[*]}|${#BASH_SOURCE[@]}|${FUNCNAME[*]}|$LINENO|$BASH|$SHLVL"; printf "<%s>" "$@"',
  'call stack': 'f() {\n  echo "${FUNCNAME[*]} ${BASH_SOURCE[*]} ${BASH_LINENO[*]} $(caller 0)"\n}\nf',
  'is it the main script': '[[ ${BASH_SOURCE[0]} == "$0" ]] && echo main',
  'messages carry name and line': '\n\nno-such-command\necho $?',
  'return at top level': 'return 3\necho still here $?',
  'xtrace has one plus': 'set -x; echo a; (echo b)',
  verbose: 'set -v\necho a\n# comment\necho b',
  errexit: 'set -euo pipefail\nfalse | true\necho not here',
  'unset variable under -u': 'set -u\necho "$NOT_SET"\necho not here',
  'exit trap': 'trap \'echo "exit $? line $LINENO"\' EXIT\nfalse\nexit 5',
  'return and debug traps': 'trap "echo ret" RETURN; trap \'echo "debug $LINENO"\' DEBUG\ntrue\n:',
  'error trap': 'trap \'echo "err $LINENO"\' ERR\nfalse\ntrue',
  exec: 'trap "echo never" EXIT; exec sh -c "echo replaced; exit 6"',
  'commands before a syntax error run': 'echo before\nif then\necho after',
  'unfinished text': 'echo before\nif true; then',
  'here document': 'cat <<E\n$1 and $((1 + 2))\nE',
  'no newline at the end': 'echo last',
  'carriage returns': 'echo a\r\necho b\r\n',
  variables:
    'declare -p | grep -vE "^declare -[^ ]* (BASH_ARGV|BASH_ARGC|BASHPID|EPOCH|RANDOM|SRANDOM|PPID|PIPESTATUS|SECONDS|_|KRUNTIME_PROCESS_TREE)"',
  'functions and options': 'declare -F; shopt; set -o; alias; trap -p; hash; jobs',
  exported: 'env | grep -v KRUNTIME_PROCESS_TREE | sort',
  folders: 'pwd; pwd -P; echo "${OLDPWD-none}"; cd ..; echo "$OLDPWD"; cd - >/dev/null; env | grep ^OLDPWD',
  seconds: 'echo $SECONDS',
  'limits but the realtime one': 'ulimit -a | grep -v real-time; ulimit -Ha | grep -v real-time',
  descriptors: 'for f in 0 1 2 3 4 5 10; do [[ -e /proc/$$/fd/$f ]] && echo $f; done',
  'reads itself': 'tail -n 1 "$0"\n# the end',
  stdin: 'read -r x; echo "$? [$x]"; cat; [[ -t 0 ]] || echo no terminal',
  'job control': 'sleep 5 & kill $!; wait $!; echo $?',
  session: 'echo "$(( $(cut -d" " -f6 /proc/$$/stat) == $$ ))"',
  'signals are as by default': 'grep -E "Sig(Blk|Ign|Cgt)" /proc/self/status',
  umask: 'umask',
  'arrays and pipes': 'a=(x y z); printf "%s\\n" "${a[@]}" | sort -r | head -n 1; echo "${PIPESTATUS[*]}"',
  'byte order and eight bit': 'printf "\\xff\\xfe\\0\\n"',
  empty: '',
  'bash shebang': '#!/bin/bash\necho "$0 $1"',
  'bash with an option': '#!/bin/bash -e\necho "$0 $1"; false; echo not here',
};

describe('warm start', () => {
  const { OLDPWD: _old, PWD: _pwd, SHELL: _shell, ...base } = process.env;
  const env = { MESSAGE: 'hello', MULTI: 'a\nb\n', FROM_IMAGE: 'no' };
  let harness: Harness;
  before(async () => {
    harness = await startHarness({}, { ...base, FROM_IMAGE: 'yes', SHELL: '/bin/sh' });
  });
  after(() => harness.stop());

  const looksAlike = async ({ client }: Harness, text: string, shell: NodeJS.ProcessEnv): Promise<void> => {
    const { exited, stdout, stderr, id } = await client.run(text, { args, env });
    const cwd = join(client.workDir, id);
    chmodSync(join(cwd, 'script'), 0o755);
    const words = text.startsWith('#!/bin/bash -e') ? ['-e', 'script'] : ['script'];
    const cold = spawnSync('setsid', ['bash', ...words, ...args], {
      cwd,
      env: { ...base, ...shell, ...env, _: '/bin/bash' },
    });
    // A path instead of the name bash was called by is all that may differ.
    const plain = (bytes: string): string => bytes.replaceAll(/\/(usr\/)?bin\/bash/g, 'bash');
    expect(plain(stdout)).to.equal(plain(cold.stdout.toString()));
    expect(plain(stderr)).to.equal(plain(cold.stderr.toString()));
    expect(exited.code).to.equal(cold.status);
  };

  for (const [name, text] of Object.entries(scripts))
    it(`can not be told from bash script args: ${name}`, () =>
      looksAlike(harness, text, { SHELL: '/bin/sh' }));

  it('can not be told from it where the server has no SHELL, either', async () => {
    const without = await startHarness({}, { ...base, FROM_IMAGE: 'yes' });
    try {
      for (const name of ['variables', 'exported']) await looksAlike(without, scripts[name] ?? '', {});
    } finally {
      await without.stop();
    }
  });

  it('carries arguments and environment values exactly', async () => {
    const { client } = harness;
    const word = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 60 }),
      fc.string({
        unit: fc.constantFrom("'", '"', '\\', '$', '`', '\n', '!', '\u0001', '\u007f', '\t', '\r', 'é', ' '),
        maxLength: 12,
      }),
    );
    const clean = word.map((value) => value.replaceAll('\0', ''));
    const name = fc.oneof(
      fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,12}$/).map((value) => `X${value}`),
      fc.constantFrom('LC_ALL', 'HOME', 'TERM', 'a.b', 'MAILPATH'),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(clean, { maxLength: 5 }),
        fc.dictionary(name, clean, { maxKeys: 5 }),
        async (words, values) => {
          const { stdout } = await client.run('printf "%s\\0" "$@"; exec env -0', {
            args: words,
            env: values,
          });
          const seen = stdout.split('\0');
          // printf without arguments prints one empty string.
          expect(seen.slice(0, Math.max(1, words.length))).to.deep.equal(words.length > 0 ? words : ['']);
          for (const [key, value] of Object.entries(values)) expect(seen).to.include(`${key}=${value}`);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('carries a large environment and large arguments', async () => {
    const { client } = harness;
    const big = 'é\'"\n$'.repeat(20_000);
    const { stdout } = await client.run(
      'printf "%s|%s|%s" "${#BIG}" "${#1}" "$#"; [[ $BIG == "$1" ]] && echo same',
      {
        env: { BIG: big },
        args: [big, ...Array.from({ length: 255 }, () => 'x'.repeat(8_192))],
      },
    );
    expect(stdout.endsWith('|256same\n')).to.equal(true);
  });

  it('leaves files with another interpreter to that one, executable or not', async () => {
    const { client } = harness;
    const show = 'import sys; print(sys.argv[1:], sys.argv[0].split("/")[-1])';
    expect((await client.run(`#!/usr/bin/env python3\n${show}`, { args: ['a b'] })).stdout).to.equal(
      "['a b'] script\n",
    );
    const id = client.newId();
    client.write(id, 'bin/tool', `#!/bin/sh -e\necho "$0 $-" | tr -d sh; false; echo no`, 0o755);
    await client.execute({ id, workingDir: id, entrypoint: 'bin/tool' });
    const tool = await client.finish(id);
    expect(tool.stdout).to.match(/bin\/tool .*e/);
    expect(tool.exited.code).to.equal(1);
    const bad = await client.run('#!/no/such/interpreter\n');
    expect(bad.exited.code).to.equal(126);
    expect(bad.stderr).to.contain('/no/such/interpreter: bad interpreter');
  });

  it('runs an entrypoint of any name', async () => {
    const { client } = harness;
    for (const name of ['ci/build.sh', '-x', 'with space', "it's"]) {
      const id = client.newId();
      client.write(id, name, 'echo "$0|$1|$LINENO"');
      await client.execute({ id, workingDir: id, entrypoint: name, args: ['a'] });
      expect((await client.finish(id)).stdout).to.equal(`${name.startsWith('-') ? './' : ''}${name}|a|1\n`);
    }
  });
});

describe('cold start', () => {
  it('is taken when warm shells are off, and for names that mean something to bash', async () => {
    const cold = await startHarness({ warmMost: 0, warmLeast: 0 });
    const { stdout, exited } = await cold.client.run('echo "$0 $1 $V"; exit 4', {
      args: ['a'],
      env: { V: 'v' },
    });
    expect([stdout, exited.code]).to.deep.equal(['script a v\n', 4]);
    expect((await cold.client.command(['printf', '%s', 'x'])).stdout).to.equal('x');
    expect((await cold.client.command(['no-such', 'x'])).exited.code).to.equal(127);
    await cold.stop();

    const warm = await startHarness();
    const { client } = warm;
    const own = await client.run('echo "$V"; echo "$SHELLOPTS" | grep -o xtrace', {
      env: { SHELLOPTS: 'xtrace', V: 'v', BASH_ENV: './start' },
    });
    expect(own.stdout).to.equal('v\nxtrace\n');
    const id = client.newId();
    client.write(id, 'start', 'FROM_START=yes');
    await client.script('echo "$FROM_START"', { id, env: { BASH_ENV: './start' } });
    expect((await client.finish(id)).stdout).to.equal('yes\n');
    await warm.stop();
  });
});
