/** A pod in trouble: what it cannot do for a while is not the Run's doing. */
import { spawnSync } from 'node:child_process';

import { expect } from 'chai';

import { throughTrouble } from '../../src/io/pod-trouble.js';

const failure = (code: string): Error => Object.assign(new Error(code), { code });
/** Fails with these, then answers. */
const failing = (...codes: ReadonlyArray<string>) => {
  let calls = 0;
  return () => {
    const code = codes[calls];
    calls += 1;
    if (code !== undefined) throw failure(code);
    return calls;
  };
};
const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'answered',
    (cause: Error & { code: string }) => cause.code,
  );

describe('throughTrouble', () => {
  it('calls again what the pod could not do', async () => {
    expect(await throughTrouble(failing('EMFILE', 'EIO'))).to.equal(3);
  });

  it('does not call again what says something of what was asked for', async () => {
    for (const code of ['ENOENT', 'EACCES', 'ELOOP', 'ENOTDIR'])
      expect(await codeOf(throughTrouble(failing(code)))).to.equal(code);
  });

  it('gives up after a while', async () => {
    expect(await codeOf(throughTrouble(failing(...Array(50).fill('EMFILE')), 10))).to.equal('EMFILE');
  });
});

describe('collectOutputs', () => {
  it('reads the outputs once there are descriptors again', () => {
    // In a process of its own, whose descriptors are used up, and one is given back after a while.
    const program = `
      import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
      import { tmpdir } from 'node:os';
      import { join } from 'node:path';
      import { placesOf } from './src/decide/sidecar/environment.ts';
      import { collectOutputs } from './src/io/workspace/collect.ts';
      const work = mkdtempSync(join(tmpdir(), 'krt-emfile-'));
      const folders = { work, state: work };
      const ref = { namespace: 'n', name: 'r', uid: 'u', attempt: 1 };
      const { own } = placesOf(folders, ref);
      mkdirSync(own, { recursive: true });
      writeFileSync(join(own, 'outputs'), 'key=value');
      const taken = [];
      for (;;) try { taken.push(openSync('/dev/null')); } catch { break; }
      const collected = collectOutputs(folders, ref);
      setTimeout(() => taken.forEach((fd) => closeSync(fd)), 300);
      process.stdout.write(JSON.stringify(await collected));
      rmSync(work, { recursive: true });
    `;
    const { stdout, stderr } = spawnSync(
      'bash',
      [
        '-c',
        'ulimit -n 200; exec "$0" "$@"',
        process.execPath,
        '--import',
        'tsx',
        '--input-type=module',
        '-e',
        program,
      ],
      { encoding: 'utf8' },
    );
    expect(stdout, stderr).to.equal('{"kind":"Outputs","outputs":{"key":"value"}}');
  });
});
