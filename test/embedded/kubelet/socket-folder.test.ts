import { chmodSync, lstatSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect } from 'chai';

import {
  existingSocketFolder,
  removeSocketFolder,
  socketFolder,
} from '../../../src/embedded/kubelet/socket-folder.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'krt-sf-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const longFolder = (): string => {
  const long = join(folder, 'd'.repeat(120));
  mkdirSync(long);
  return long;
};

describe('socketFolder', () => {
  it('is in a short data folder, closed to others', () => {
    const found = socketFolder(folder);
    expect(found).to.equal(join(folder, 'run'));
    expect(lstatSync(found).mode & 0o777).to.equal(0o700);
    expect(existingSocketFolder(folder)).to.equal(found);
  });

  it('is a short one of our own for a long data folder, the same each time until it is removed', () => {
    const long = longFolder();
    expect(existingSocketFolder(long)).to.equal(undefined);
    const found = socketFolder(long);
    expect(found.length).to.be.lessThan(78);
    expect(lstatSync(found).mode & 0o777).to.equal(0o700);
    expect(socketFolder(long)).to.equal(found);
    removeSocketFolder(long);
    expect(() => lstatSync(found)).to.throw(/ENOENT/);
  });

  it('does not fall for a recorded folder that is a link or open to others', () => {
    const long = longFolder();
    const bait = join(folder, 'bait');
    mkdirSync(bait, { mode: 0o700 });
    symlinkSync(bait, join(folder, 'link'));
    writeFileSync(join(long, 'socket-folder'), join(folder, 'link'));
    const first = socketFolder(long);
    expect(first).not.to.equal(join(folder, 'link'));
    chmodSync(first, 0o755);
    const second = socketFolder(long);
    expect(second).not.to.equal(first);
    chmodSync(first, 0o700);
    rmSync(first, { recursive: true });
    removeSocketFolder(long);
  });
});
