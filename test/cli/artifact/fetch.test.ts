/** Fetching into a folder: digests, resuming, and names and links that would lead elsewhere. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { createGzip, gzipSync } from 'node:zlib';

import { expect } from 'chai';
import * as tar from 'tar-stream';

import { fetchArtifact, fileNames } from '../../../src/cli/artifact/fetch.js';
import { Failure } from '../../../src/cli/failure.js';
import type { ArtifactRef } from '../../../src/model/run.js';

const body = 'artifact body\n';
const digestOf = (text: string): string => `sha256:${createHash('sha256').update(text).digest('hex')}`;
const aRef = (more: Partial<ArtifactRef> = {}): ArtifactRef => ({
  name: 'result.txt',
  type: 'file',
  driver: 'filesystem',
  location: 'c/x',
  sizeBytes: body.length,
  digest: digestOf(body),
  ...more,
});

describe('fetchArtifact', () => {
  let directory: string;
  let asked: number[];
  beforeEach(async () => {
    directory = join(await mkdtemp(join(tmpdir(), 'krt-fetch-')), 'target');
    asked = [];
  });
  afterEach(() => rm(join(directory, '..'), { recursive: true }));

  /** Sends `text` from the byte asked for, and breaks after `most` bytes. */
  const sender = (text: string, most = Number.POSITIVE_INFINITY) =>
    async function* (from: number): AsyncGenerator<Uint8Array> {
      asked.push(from);
      for (const [index, byte] of [...Buffer.from(text).subarray(from)].entries()) {
        if (index >= most) throw new Error('the connection broke');
        yield Buffer.from([byte]);
      }
    };
  const fetch = (ref: ArtifactRef, text: string, most?: number) =>
    fetchArtifact(ref, sender(text, most), { directory, onBytes: () => undefined });
  const failure = (call: Promise<unknown>): Promise<Failure> =>
    call.then(
      () => {
        throw new Error('it did not fail');
      },
      (cause: Failure) => cause,
    );

  it('writes the file into the folder, which it makes, and leaves nothing else there', async () => {
    expect(await fetch(aRef(), body)).to.equal(join(directory, 'result.txt'));
    expect(readFileSync(join(directory, 'result.txt'), 'utf8')).to.equal(body);
    expect(readdirSync(directory)).to.deep.equal(['result.txt']);
  });

  it('goes on where it was interrupted', async () => {
    expect(String(await failure(fetch(aRef(), body, 5)))).to.include('broke');
    expect(existsSync(join(directory, 'result.txt'))).to.equal(false);
    await fetch(aRef(), body);
    expect(asked).to.deep.equal([0, 5]);
    expect(readFileSync(join(directory, 'result.txt'), 'utf8')).to.equal(body);
  });

  it('fetches nothing that is there already', async () => {
    await fetch(aRef(), body);
    await fetch(aRef(), body);
    expect(asked).to.deep.equal([0]);
  });

  it('stops at once, and keeps nothing, when more comes than the Run has stored', async () => {
    let given = 0;
    const endless = async function* (): AsyncGenerator<Uint8Array> {
      for (; given < 100; given += 1) yield Buffer.alloc(1024);
    };
    const call = fetchArtifact(aRef({ sizeBytes: 2000 }), endless, { directory, onBytes: () => undefined });
    expect((await failure(call)).message).to.match(/result\.txt.*more came than 2000 bytes/);
    expect(given).to.equal(1);
    expect(readdirSync(directory)).to.deep.equal([]);
  });

  it('keeps nothing that came damaged, and begins anew', async () => {
    const error = await failure(fetch(aRef(), 'artifact b0dy\n'));
    expect(error).to.be.instanceOf(Failure);
    expect(error.message).to.include('came damaged');
    expect(readdirSync(directory)).to.deep.equal([]);
    await writeFile(join(directory, 'result.txt.part'), 'rests of something longer than this artifact');
    await fetch(aRef(), body);
    expect(asked).to.deep.equal([0, 0]);
  });

  it('writes a directory as the archive it is stored as', () => {
    expect(fileNames(aRef({ name: 'report', type: 'directory' }))).to.deep.equal(['report.tar.gz']);
  });

  it('tells what a failed attempt left by its bytes: an archive of the directory of that name, or anything else', async () => {
    const unknown = (name: string, bytes: Buffer): Promise<string> =>
      fetchArtifact(
        { name, type: 'unknown', location: 'x', sizeBytes: bytes.length },
        async function* (from) {
          yield bytes.subarray(from);
        },
        { directory, onBytes: () => undefined },
      ).then((path) => path.slice(directory.length + 1));
    const archive = (name: string, type: 'directory' | 'file'): Promise<Buffer> => {
      const pack = tar.pack();
      pack.entry({ name, type }, '');
      pack.finalize();
      return buffer(pack.pipe(createGzip()));
    };
    const long = 'ä'.repeat(100);
    for (const [name, bytes, expected] of [
      ['d', await archive('d/', 'directory'), 'd.tar.gz'],
      [long, await archive(`${long}/`, 'directory'), `${long}.tar.gz`],
      ['e', await archive('d/', 'directory'), 'e'],
      ['f', await archive('f', 'file'), 'f'],
      ['g.gz', gzipSync('g.gz/'), 'g.gz'],
      ['text', Buffer.from(body), 'text'],
      ['none', Buffer.alloc(0), 'none'],
    ] as const) {
      expect(await unknown(name, bytes)).to.equal(expected);
      expect(readFileSync(join(directory, expected)).equals(bytes), name).to.equal(true);
    }
    expect(readdirSync(directory)).to.have.length(7);
  });

  it('never goes on with a rest where no digest would tell what it is of, and keeps none', async () => {
    const { digest: _, ...ref } = aRef();
    await mkdir(directory);
    await writeFile(join(directory, 'result.txt.part'), 'other');
    await failure(fetch(ref, body, 5));
    expect(readdirSync(directory)).to.deep.equal([]);
    expect((await failure(fetch(ref, 'short'))).message).to.match(/came damaged: 5 of 14 bytes/);
    expect(readdirSync(directory)).to.deep.equal([]);
    await fetch(ref, body);
    expect(asked).to.deep.equal([0, 0, 0]);
    expect(readFileSync(join(directory, 'result.txt'), 'utf8')).to.equal(body);
  });

  it('refuses names that lead out of the folder, and follows no link', async () => {
    for (const name of ['../x', '..', '/etc/passwd', 'a/b', '', 'a\0b', '\u001b[2J'])
      expect(await failure(fetch(aRef({ name }), body)), name).to.be.instanceOf(Failure);
    await mkdir(directory);
    const outside = join(directory, '../outside');
    await writeFile(outside, 'mine');
    await symlink(outside, join(directory, 'result.txt.part'));
    expect((await failure(fetch(aRef(), body))).message).to.include('symbolic link');
    await rm(join(directory, 'result.txt.part'));
    await symlink(outside, join(directory, 'result.txt'));
    await fetch(aRef(), body);
    expect(readFileSync(outside, 'utf8')).to.equal('mine');
    expect(readFileSync(join(directory, 'result.txt'), 'utf8')).to.equal(body);
  });
});
