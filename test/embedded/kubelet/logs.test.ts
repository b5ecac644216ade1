/** Invariant: whatever way output is cut into chunks, reading the log gives it back, per stream. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect } from 'chai';
import fc from 'fast-check';

import { LogFile } from '../../../src/embedded/kubelet/log-file.js';
import { LONGEST_PIECE } from '../../../src/embedded/kubelet/log-lines.js';
import { type LogOptions, readLog } from '../../../src/embedded/kubelet/log-read.js';
import { mountSmallDisk } from '../../faults/small-disk.js';

let folder: string;
const path = (): string => join(folder, 'c', '0.log');

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'krt-logs-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const read = async (options: Partial<LogOptions> = {}, live?: LogFile): Promise<string> => {
  const parts: Buffer[] = [];
  for await (const part of readLog(
    path(),
    live,
    { timestamps: false, ...options },
    new AbortController().signal,
  ))
    parts.push(part);
  return Buffer.concat(parts).toString();
};

const write = (text: string, atMs = 0, log = new LogFile(path())): LogFile => {
  log.append('stdout', Buffer.from(text), atMs);
  return log;
};

describe('readLog', () => {
  it('gives back any output, however it was cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.string({ unit: fc.constantFrom('a', '\n', ' ', 'é') }), { maxLength: 20 }),
        async (chunks) => {
          const log = new LogFile(path());
          for (const chunk of chunks) log.append('stdout', Buffer.from(chunk), 0);
          log.end(0);
          const text = chunks.join('');
          expect(await read()).to.equal(text === '' || text.endsWith('\n') ? text : `${text}\n`);
        },
      ),
      { numRuns: 50 },
    );
  });

  it('joins the pieces of a long line again', async () => {
    const line = 'x'.repeat(LONGEST_PIECE * 2 + 5);
    write(`${line}\n`).end(0);
    expect(await read()).to.equal(`${line}\n`);
  });

  it('gives the last lines, also across a rotation and across blocks', async () => {
    const log = new LogFile(path(), 200_000);
    for (let line = 0; line < 5000; line += 1) log.append('stdout', Buffer.from(`line ${line}\n`), 0);
    log.end(0);
    expect(log.rotations).to.equal(1);
    const lines = (await read()).trim().split('\n');
    expect(lines).to.have.length(5000);
    for (const tailLines of [0, 1, 3, 4000]) {
      const tail = await read({ tailLines });
      expect(tail.split('\n').slice(0, -1)).to.deep.equal(tailLines === 0 ? [] : lines.slice(-tailLines));
    }
  });

  it('keeps at most two files of the given size', () => {
    const log = new LogFile(path(), 10_000);
    for (let line = 0; line < 5000; line += 1) log.append('stdout', Buffer.from(`line ${line}\n`), 0);
    log.end(0);
    expect(statSync(path()).size + statSync(`${path()}.1`).size).to.be.within(5000, 20_000);
  });

  it('shows times, cuts at a limit, and begins where asked', async () => {
    const log = write('one\n', 1000);
    write('two\n', 2000, log).end(2000);
    expect(await read({ timestamps: true })).to.equal(
      '1970-01-01T00:00:01.000000000Z one\n1970-01-01T00:00:02.000000000Z two\n',
    );
    expect(await read({ sinceMs: 1500 })).to.equal('two\n');
    expect(await read({ limitBytes: 5 })).to.equal('one\nt');
  });

  it('follows what is appended, over a rotation, until the end', async () => {
    const log = new LogFile(path(), 1000);
    const followed = read({}, log);
    const expected: string[] = [];
    for (let line = 0; line < 100; line += 1) {
      log.append('stdout', Buffer.from(`line ${line}\n`), 0);
      expected.push(`line ${line}`);
      // Lets the follower read; a follower two rotations behind would rightly miss lines.
      await new Promise(setImmediate);
      await new Promise(setImmediate);
      await new Promise(setImmediate);
    }
    log.end(0);
    const seen = (await followed).trim().split('\n');
    expect(log.rotations).to.be.greaterThan(2);
    expect(seen.at(-1)).to.equal('line 99');
    expect(seen).to.deep.equal(expected.filter((line) => seen.includes(line)));
  });

  it('stops following when the reader has gone', async () => {
    const log = write('one\n');
    const gone = new AbortController();
    const reader = readLog(path(), log, { timestamps: false }, gone.signal);
    expect((await reader.next()).value?.toString()).to.equal('one\n');
    const next = reader.next();
    gone.abort();
    expect((await next).done).to.equal(true);
    log.end(0);
  });
});

describe('LogFile', () => {
  it('takes output that the disk does not take', function () {
    if (!existsSync('/dev/full')) this.skip();
    mkdirSync(join(folder, 'c'));
    symlinkSync('/dev/full', path());
    const log = write('lost\n');
    log.append('stderr', Buffer.from('lost, too\n'), 0);
    log.end(0);
  });

  it('has whole entries alone, when the disk is full for a while', async function () {
    const disk = mountSmallDisk(join(folder, 'c'), 1);
    if (typeof disk === 'string') this.skip();
    try {
      const log = write('before\n');
      // More than is left, so that a part of it fits.
      log.append('stdout', Buffer.from(`${'x'.repeat(10_000)}\n`.repeat(200)), 0);
      disk.fill();
      log.append('stdout', Buffer.from(`lost ${'y'.repeat(10_000)}\n`), 0);
      disk.free();
      log.append('stdout', Buffer.from('after\n'), 0);
      log.end(0);
      expect(await read()).to.equal('before\nafter\n');
    } finally {
      disk.unmount();
    }
  });

  it('goes on in the old file where a new one cannot be made', async () => {
    const log = new LogFile(path(), 100);
    log.append('stdout', Buffer.from('before\n'), 0);
    // Nothing can be renamed over a folder that is not empty.
    mkdirSync(join(`${path()}.1`, 'occupied'), { recursive: true });
    for (let i = 0; i < 5; i += 1) log.append('stdout', Buffer.from(`line ${i}\n`), 0);
    log.end(0);
    rmSync(`${path()}.1`, { recursive: true });
    expect(await read()).to.equal('before\nline 0\nline 1\nline 2\nline 3\nline 4\n');
  });
});
