/**
 * The store on a disk on which every single call may go wrong: nothing that was acknowledged is lost, nothing that was
 * refused is there, and what is there can be read again; whether the process is killed, the power fails, or a call is
 * refused.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { expect } from 'chai';

const fixture = fileURLToPath(new URL('../../fixtures/bad-disk.ts', import.meta.url));

describe('a store on a bad disk', function () {
  this.timeout(300_000);
  let folder = '';
  before(function () {
    // What a disk failed to write is told by descriptor, and those are in /proc.
    if (process.platform !== 'linux') this.skip();
    folder = mkdtempSync(join(tmpdir(), 'kruntimes-bad-disk-'));
  });
  after(() => {
    if (folder !== '') rmSync(folder, { recursive: true, force: true });
  });

  it('keeps what it acknowledged, and only that, whichever call fails or is the last one', async () => {
    const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', fixture, folder]);
    const lines = stdout.trim().split('\n');
    const { played } = JSON.parse(lines.pop() ?? '{}') as { played?: number };
    expect(lines).to.deep.equal([]);
    expect(played).to.be.greaterThan(200);
  });
});
