/** Where nothing more fits into the folder in memory that warm shells are told their work in. */
import { once } from 'node:events';
import { closeSync, mkdirSync, mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect } from 'chai';

import { FifoStock } from '../../../src/io/processes/fifos.js';
import { TreeMarker } from '../../../src/runtimes/bash/marker.js';
import { waitText } from '../../../src/runtimes/bash/shell-text.js';
import { starter } from '../../../src/runtimes/bash/start.js';
import { WarmPool } from '../../../src/runtimes/bash/warm-pool.js';
import { mountSmallDisk, type SmallDisk } from '../../faults/small-disk.js';

const BASH = '/bin/bash';

/** Files without a name below the folder that this process has open. */
const namelessIn = (folder: string): ReadonlyArray<string> =>
  readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${fd}`);
      return path.startsWith(folder) && path.endsWith('(deleted)') && !path.includes('fifos') ? [path] : [];
    } catch {
      return [];
    }
  });

describe('a Bash Runtime Server whose memory folder is full', () => {
  let folder: string;
  let memory: string;
  let disk: SmallDisk | string;
  before(function () {
    folder = mkdtempSync(join(tmpdir(), 'bash-full-'));
    memory = join(folder, 'memory');
    disk = mountSmallDisk(memory, 1);
    if (typeof disk === 'string') this.skip();
  });
  after(() => {
    if (typeof disk !== 'string') disk?.unmount();
    rmSync(folder, { recursive: true, force: true });
  });

  it('starts executions all the same, with their arguments and environment, and keeps nothing of the shells it let go', async () => {
    const workDir = join(folder, 'work');
    const [guardFolder, fifoFolder] = [join(memory, 'guard'), join(memory, 'fifos')];
    for (const path of [workDir, guardFolder, fifoFolder]) mkdirSync(path, { mode: 0o700 });
    const waitFile = join(memory, 'wait');
    writeFileSync(waitFile, waitText(BASH));
    writeFileSync(join(guardFolder, 'script'), 'exit\n');
    writeFileSync(join(workDir, 'script'), '[[ $1/$2/$V == "a b//c d" ]] && exit 7\n');
    const marker = new TreeMarker();
    const fifos = new FifoStock(fifoFolder);
    const baseEnv = { PATH: process.env.PATH };
    const shells = {
      bash: BASH,
      guardFolder,
      waitFile,
      scriptName: 'script',
      env: { SHELL: BASH, ...baseEnv },
    };
    const pool = new WarmPool(shells, fifos, marker, { least: 1, most: 1 });
    const start = starter(
      { bash: BASH, workDir, baseEnv, warmName: 'script', isWarm: true },
      pool,
      fifos,
      marker,
    );
    pool.fill();
    try {
      if (typeof disk !== 'string') disk.fill();
      for (let i = 0; i < 3; i += 1) {
        const started = start({
          id: `e${i}`,
          args: ['a b', ''],
          env: { V: 'c d' },
          timeoutSeconds: 10,
          workingDir: '',
          entrypoint: 'script',
        });
        if (started.kind !== 'Launched') throw new Error(JSON.stringify(started));
        expect(await once(started.launched.child, 'exit')).to.deep.equal([7, null]);
        for (const fd of [started.launched.stdoutFd, started.launched.stderrFd]) closeSync(fd);
        pool.ended();
      }
    } finally {
      pool.close();
    }
    // Not before: where an execution takes longer than the pool is patient, a new shell waits in it by now.
    expect(namelessIn(memory)).to.deep.equal([]);
  });
});
