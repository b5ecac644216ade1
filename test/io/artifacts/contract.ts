/** What every artifact store promises, whatever it is made of. */
import { createHash, randomBytes } from 'node:crypto';

import { expect } from 'chai';

import { MIN_AGE_MS } from '../../../src/decide/artifacts/log-orphans.js';
import { type ArtifactStore, putArtifact, StoreError } from '../../../src/io/artifacts/store.js';
import { sweepOnce } from '../../../src/runtimed/log-sweep.js';

/** The text in chunks of a byte, or of `size`. */
export const chunks = async function* (text: string | Buffer, size = 1): AsyncGenerator<Buffer> {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
};

export const textOf = async (store: ArtifactStore, key: string, from = 0): Promise<string> => {
  const parts: Buffer[] = [];
  for await (const part of await store.read(key, from)) parts.push(part as Buffer);
  return Buffer.concat(parts).toString('latin1');
};

export const keysOf = async (store: ArtifactStore, prefix: string): Promise<ReadonlyArray<string>> => {
  const keys: string[] = [];
  for await (const { key } of store.list(prefix)) keys.push(key);
  return keys.sort();
};

/** The error of a call that must fail. */
export const failureOf = async (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => {
      throw new Error('it did not fail');
    },
    (cause: unknown) => cause,
  );

const plain = { contentType: 'text/plain' };
const digest = (bytes: Buffer): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

/** The suite; `open` gives a store that is empty below namespace `ns`, the same one within one test run. */
export const describeStore = (open: () => Promise<ArtifactStore>): void => {
  let store: ArtifactStore;
  before(async () => {
    store = await open();
  });

  it('keeps what it was given, with its size and digest', async () => {
    const bytes = randomBytes(300_000);
    const stored = await putArtifact(store, 'ns/uid-1/1/big.bin', chunks(bytes, 65_536), plain);
    expect(stored).to.include({ sizeBytes: bytes.length, digest: digest(bytes) });
    expect(stored.location).to.match(/ns\/uid-1\/1\/big\.bin$/);
    expect(await textOf(store, 'ns/uid-1/1/big.bin')).to.equal(bytes.toString('latin1'));
  });

  it('keeps an empty object', async () => {
    expect(await putArtifact(store, 'ns/uid-1/1/empty', chunks(''), plain)).to.include({ sizeBytes: 0 });
    expect(await textOf(store, 'ns/uid-1/1/empty')).to.equal('');
  });

  it('keeps names with spaces, quotes, percent signs, plus signs and other scripts apart', async () => {
    const names = ['a b', 'a+b', 'a%20b', `"'<&>`, 'naïve – 名前 🙂', '#?', '.hidden', '-rf', 'back\\slash'];
    for (const name of names) await putArtifact(store, `ns/uid-names/1/${name}`, chunks(name), plain);
    expect(await keysOf(store, 'ns/uid-names/')).to.deep.equal(
      names.map((name) => `ns/uid-names/1/${name}`).sort(),
    );
    for (const name of names)
      expect(Buffer.from(await textOf(store, `ns/uid-names/1/${name}`), 'latin1').toString()).to.equal(name);
  });

  it('reads from a byte on', async () => {
    await putArtifact(store, 'ns/uid-1/1/alphabet', chunks('abcdefgh'), plain);
    expect(await textOf(store, 'ns/uid-1/1/alphabet', 5)).to.equal('fgh');
    expect(await textOf(store, 'ns/uid-1/1/alphabet', 8)).to.equal('');
  });

  it('replaces a key that is written again', async () => {
    await putArtifact(store, 'ns/uid-1/1/again', chunks('first and longer'), plain);
    await putArtifact(store, 'ns/uid-1/1/again', chunks('second'), plain);
    expect(await textOf(store, 'ns/uid-1/1/again')).to.equal('second');
  });

  it('shows nothing of what was not whole, and hands the failure of its source on', async () => {
    const cause = new Error('the source broke');
    const broken = async function* (): AsyncGenerator<Buffer> {
      yield Buffer.alloc(100_000);
      throw cause;
    };
    expect(await failureOf(putArtifact(store, 'ns/uid-2/1/broken', broken(), plain))).to.equal(cause);
    expect(await keysOf(store, 'ns/uid-2/')).to.deep.equal([]);
  });

  it('shows nothing before the end', async () => {
    const before = async function* (): AsyncGenerator<Buffer> {
      yield Buffer.alloc(100_000);
      expect(await keysOf(store, 'ns/uid-3/')).to.deep.equal([]);
      yield Buffer.from('end');
    };
    await putArtifact(store, 'ns/uid-3/1/late', before(), plain);
    expect(await keysOf(store, 'ns/uid-3/')).to.deep.equal(['ns/uid-3/1/late']);
  });

  it('is stopped by its signal, and shows nothing then', async () => {
    const stop = new AbortController();
    const endless = async function* (): AsyncGenerator<Buffer> {
      yield Buffer.alloc(100_000);
      stop.abort();
      for (;;) yield Buffer.alloc(1000);
    };
    const call = putArtifact(store, 'ns/uid-4/1/endless', endless(), { ...plain, signal: stop.signal });
    expect(await failureOf(call)).to.be.instanceOf(StoreError);
    expect(await keysOf(store, 'ns/uid-4/')).to.deep.equal([]);
  });

  it('lists a namespace, the objects of a Run together, with the time each was written', async () => {
    const keys = [
      'all/a/1/x',
      'all/a/2/y',
      'all/a/log-1-p.i',
      'all/a-b/log-1-p.i',
      'all/c/log-1-p.i',
      'alle/d/1/x',
    ];
    const from = Date.now();
    for (const key of keys) await putArtifact(store, key, chunks(key), plain);
    const listed: string[] = [];
    for await (const { key, modifiedMs, sizeBytes } of store.listNamespace('all')) {
      listed.push(key);
      expect(sizeBytes).to.equal(key.length);
      // Some stores know no more than the second.
      expect(modifiedMs).to.be.within(from - 2000, Date.now() + 2000);
    }
    expect([...listed].sort()).to.deep.equal(keys.slice(0, -1).sort());
    const runs = listed.map((key) => key.split('/')[1]);
    expect(runs.filter((run, index) => run !== runs[index - 1])).to.have.length(3);
    const none: string[] = [];
    for await (const { key } of store.listNamespace('none')) none.push(key);
    expect(none).to.deep.equal([]);
  });

  it('loses by a sweep the logs of Runs that are gone, and nothing else', async () => {
    const keys = ['sw/gone/log-1-p.i', 'sw/gone/log-2-p.i', 'sw/kept/log-1-p.i', 'sw/last/log-1-p.i'];
    const others = ['sw/other/log-1-p.j', 'sw/stored/1/a', 'sw/stored/log-1-p.i', 'sx/gone/log-1-p.i'];
    for (const key of [...keys, ...others]) await putArtifact(store, key, chunks(key), plain);
    const sweep = { store: '', installation: 'i', runs: new Set(['kept']) };
    const signal = new AbortController().signal;
    expect(await sweepOnce(store, 'sw', sweep, Date.now(), signal)).to.equal(0);
    expect(await sweepOnce(store, 'sw', sweep, Date.now() + 2 * MIN_AGE_MS, signal)).to.equal(2);
    expect(await sweepOnce(store, 'sw', sweep, Date.now() + 2 * MIN_AGE_MS, signal)).to.equal(0);
    const left: string[] = [];
    for (const namespace of ['sw', 'sx'])
      for await (const { key } of store.listNamespace(namespace)) left.push(key);
    expect(left.sort()).to.deep.equal(['sw/kept/log-1-p.i', ...others].sort());
  });

  it('removes a Run, and another of a longer name not, as often as it is asked', async () => {
    const keys = ['ns/run/1/a', 'ns/run/1/b', 'ns/run/2/a', 'ns/run-2/1/a'];
    for (const key of keys) await putArtifact(store, key, chunks(key), plain);
    expect(await keysOf(store, 'ns/run/2/')).to.deep.equal(['ns/run/2/a']);
    await store.remove('ns/run/');
    await store.remove('ns/run/');
    expect(await keysOf(store, 'ns/run/')).to.deep.equal([]);
    expect(await keysOf(store, 'ns/run-2/')).to.deep.equal(['ns/run-2/1/a']);
  });

  it('says that it does not have an object', async () => {
    expect(await failureOf(store.read('ns/uid-1/1/nothing', 0)))
      .to.be.instanceOf(StoreError)
      .and.include({ kind: 'NotFound' });
  });

  it('takes no key that leads elsewhere, and removes no namespace', async () => {
    for (const key of ['ns/../../x', 'ns/uid/1/..', '/etc/passwd', 'ns//x', 'ns/uid/1/a\0b'])
      expect(await failureOf(putArtifact(store, key, chunks('x'), plain)), key).to.include({
        kind: 'Refused',
      });
    for (const prefix of ['ns/', '/', '', 'ns/../'])
      expect(await failureOf(store.remove(prefix)), prefix).to.include({ kind: 'Refused' });
  });
};
