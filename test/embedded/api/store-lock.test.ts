/** Of several processes that open one store at the same moment one has it, whatever an earlier one left there. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { expect } from 'chai';

const fixture = fileURLToPath(new URL('../../fixtures/take-store.ts', import.meta.url));
const PROCESSES = 4;
const ROUNDS = 150;

describe('the lock of a store', function () {
  this.timeout(120_000);
  let root = '';
  const children: ChildProcessWithoutNullStreams[] = [];
  before(() => {
    root = mkdtempSync(join(tmpdir(), 'kruntimes-lock-'));
  });
  after(() => {
    for (const child of children) child.kill('SIGKILL');
    rmSync(root, { recursive: true, force: true });
  });

  it('is had by one at most of four that want it at once, where the last holder was killed', async () => {
    const folders = Array.from({ length: ROUNDS }, (_, i) => join(root, String(i)));
    for (const folder of folders) {
      mkdirSync(folder, { mode: 0o700 });
      writeFileSync(join(folder, 'lock'), '4194999 12345\n');
    }
    const linesOf = Array.from({ length: PROCESSES }, () => {
      const child = spawn(process.execPath, ['--import', 'tsx', fixture, ...folders]);
      children.push(child);
      return createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    });
    const next = async (): Promise<string[]> =>
      Promise.all(linesOf.map(async (lines) => String((await lines.next()).value)));
    expect(await next()).to.deep.equal(Array.from({ length: PROCESSES }, () => 'ready'));
    const holders: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const child of children) child.stdin.write('\n');
      holders.push((await next()).filter((what) => what === 'opened').length);
    }
    expect(Math.max(...holders)).to.equal(1);
    // One that everybody gave up would help nobody: it is opened by the next who tries.
    expect(holders.filter((count) => count === 1).length).to.be.greaterThan(ROUNDS / 2);
  });
});
