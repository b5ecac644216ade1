import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect } from 'chai';

import { leftovers } from '../../src/demo/leftovers.js';
import { controlPlaneId } from '../../src/embedded/kubelet/kubelet.js';
import { hasProc } from '../../src/io/processes/proc.js';

describe('leftovers', () => {
  let folder: string;
  let dataDir: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'leftovers-test-'));
    dataDir = join(folder, 'data');
    mkdirSync(dataDir);
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** Runs `look` while a process of this kind lives; its pid is given. */
  const beside = async (
    options: Readonly<{ env?: NodeJS.ProcessEnv; cwd?: string; args?: ReadonlyArray<string> }>,
    look: (pid: number) => void,
  ): Promise<void> => {
    // It says a word when it runs its own program, then waits for the end of its input.
    const child = spawn('bash', ['-c', 'echo ready; read -r _', ...(options.args ?? [])], {
      env: { PATH: process.env.PATH, ...options.env },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    await once(child.stdout, 'data');
    try {
      look(child.pid ?? 0);
    } finally {
      const gone = once(child, 'exit');
      child.stdin.end();
      await gone;
    }
  };
  const pids = (): ReadonlyArray<number> => leftovers(folder, dataDir).map(({ pid }) => pid);

  it('finds a process by its command line, and not when it has ended', async () => {
    await beside({ args: ['name', dataDir] }, (pid) => expect(pids()).to.deep.equal([pid]));
    expect(pids()).to.deep.equal([]);
  });

  it('finds a process by the environment it was started with', async function () {
    if (!hasProc()) return this.skip();
    await beside({ env: { HOME: join(folder, 'home') } }, (pid) => expect(pids()).to.deep.equal([pid]));
  });

  it('finds a process by the mark of the control plane', async function () {
    if (!hasProc()) return this.skip();
    const mark = `${controlPlaneId(dataDir)}/life/pod/container`;
    await beside({ env: { KRT_POD: mark } }, (pid) => expect(pids()).to.deep.equal([pid]));
  });

  it('finds a process by its working directory', async function () {
    if (!hasProc()) return this.skip();
    await beside({ cwd: dataDir }, (pid) => expect(pids()).to.deep.equal([pid]));
  });
});
