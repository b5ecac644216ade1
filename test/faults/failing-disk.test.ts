import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect } from 'chai';

import { type FailingDisk, mountFailingDisk } from './failing-disk.js';

describe('mountFailingDisk', () => {
  let [above, folder] = ['', ''];
  let disk: FailingDisk;

  beforeEach(function () {
    above = mkdtempSync(join(tmpdir(), 'krt-failing-'));
    folder = join(above, 'disk');
    const mounted = mountFailingDisk(folder, 16);
    if (typeof mounted === 'string') {
      rmSync(above, { recursive: true });
      return this.skip();
    }
    disk = mounted;
  });
  afterEach(() => {
    disk.unmount();
    rmSync(above, { recursive: true });
  });

  it('loses nothing of what is written while it is read-only, taken away, checked and brought back', async () => {
    // Names what it could write, and says where it could not.
    const script = 'i=0; while i=$((i + 1)); do (: >"$0/$i") 2>/dev/null && echo $i || echo -; done';
    const writer = spawn('sh', ['-c', script, folder]);
    let text = '';
    writer.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    await once(writer.stdout, 'data');
    disk.fail();
    while (!text.includes('-\n')) await once(writer.stdout, 'data');
    const failedAt = text.indexOf('-\n');
    await disk.mend();
    while (!/\d\n$/.test(text)) await once(writer.stdout, 'data');
    writer.kill('SIGKILL');
    await once(writer, 'close');
    // What was written before it failed is the disk's to lose.
    const written = text
      .slice(failedAt)
      .split('\n')
      .filter((line) => /^\d+$/.test(line));
    expect(written).not.to.deep.equal([]);
    expect(written.filter((name) => !existsSync(join(folder, name)))).to.deep.equal([]);
  });

  it('comes back writable though a namespace that was made meanwhile had it', async function () {
    if (spawnSync('unshare', ['-m', 'true']).status !== 0) this.skip();
    const other = spawn('unshare', ['-m', '--propagation', 'private', 'sh', '-c', 'echo there; read _']);
    await once(other.stdout, 'data');
    disk.fail();
    const mended = disk.mend();
    other.stdin.end();
    await mended;
    writeFileSync(join(folder, 'written'), '');
  });
});
