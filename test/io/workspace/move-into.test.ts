/** What is moved into a Run's folder arrives as it was, whatever it is called and wherever it comes from. */
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect } from 'chai';

import { HeldFolder } from '../../../src/io/workspace/held-folder.js';
import { moveInto } from '../../../src/io/workspace/move-into.js';

const MEMORY = '/dev/shm';

const below = (folder: string, ...names: ReadonlyArray<string>): Buffer =>
  Buffer.concat([Buffer.from(folder), ...names.map((name) => Buffer.from(`/${name}`, 'latin1'))]);

/** Whether two folders are on one file system; undefined where one is missing. */
const areTogether = (a: string, b: string): boolean | undefined => {
  const [one, other] = [a, b].map((path) => statSync(path, { throwIfNoEntry: false })?.dev);
  return one === undefined || other === undefined ? undefined : one === other;
};

describe('moveInto', () => {
  const folders: string[] = [];
  const makeFolder = (where: string): string => {
    const folder = mkdtempSync(join(where, 'krt-move-'));
    folders.push(folder);
    return folder;
  };
  afterEach(() => {
    for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
  });

  const volumes = { 'on one volume': tmpdir(), 'from one volume to another': MEMORY };
  for (const [where, source] of Object.entries(volumes))
    it(`takes names and links that are no UTF-8 as they are, ${where}`, async function () {
      if (areTogether(tmpdir(), source) !== (source === tmpdir())) this.skip();
      const [from, to] = [makeFolder(source), makeFolder(tmpdir())];
      mkdirSync(below(from, 'd\xe4'));
      writeFileSync(below(from, 'd\xe4', '\xff'), 'in it');
      writeFileSync(below(from, '\xfe'), 'beside it', { mode: 0o750 });
      symlinkSync(Buffer.from([0xfd]), below(from, 'link'));
      const folder = HeldFolder.open(to);
      try {
        await moveInto(from, folder, new AbortController().signal);
      } finally {
        folder.close();
      }
      expect(readdirSync(to, 'latin1').sort()).to.deep.equal(['d\xe4', 'link', '\xfe']);
      expect(readFileSync(below(to, 'd\xe4', '\xff'), 'utf8')).to.equal('in it');
      expect(readFileSync(below(to, '\xfe'), 'utf8')).to.equal('beside it');
      expect(lstatSync(below(to, '\xfe')).mode & 0o777).to.equal(0o750);
      expect(readlinkSync(below(to, 'link'), 'latin1')).to.equal('\xfd');
    });
});
