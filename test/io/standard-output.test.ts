/** Programs whose log takes nothing any more: a full disk, played by /dev/full. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect } from 'chai';

const FULL = '/dev/full';

describe('surviveLostOutput', () => {
  let folder: string;
  before(function () {
    if (!existsSync(FULL)) this.skip();
    folder = mkdtempSync(join(tmpdir(), 'krt-full-'));
  });
  after(() => {
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });

  it('lets a program go on that cannot write its log', async () => {
    const full = openSync(FULL, 'w');
    // It logs when it has started and when it ends; in between stands its file.
    const child = spawn(
      process.execPath,
      ['dist/apiserver.js', '--data-dir', folder, '--port', '0', '--host', '127.0.0.1'],
      { stdio: ['ignore', full, full, 'pipe'], env: { ...process.env, KRUNTIME_PARENT_FD: '3' } },
    );
    closeSync(full);
    child.stdio[3]?.destroy();
    const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
    // Its parent was gone: it ended in good order, which it also logs.
    expect({ code, signal }).to.deep.equal({ code: 0, signal: null });
  });
});
