/**
 * Invariants, over any store that several clusters share, in any state of a Run:
 * - nothing of a Run that is known, of a Run with artifacts, or with anything younger than an hour is removed
 * - nothing of a Run none of whose logs is ours
 * - every other Run whose logs are ours is
 */
import { expect } from 'chai';
import * as fc from 'fast-check';

import { artifactKey, installationOf, isKeyOfRun, logKey } from '../../src/decide/artifacts/keys.js';
import { type Listed, logOrphans, MIN_AGE_MS } from '../../src/decide/artifacts/log-orphans.js';

const NOW = 1_800_000_000_000;
const OLD = NOW - MIN_AGE_MS;

const orphansOf = (
  objects: ReadonlyArray<Listed>,
  runs: ReadonlyArray<string> = [],
): ReadonlyArray<string> => {
  const orphans = logOrphans({ namespace: 'ns', installation: 'here', runs: new Set(runs), atMs: NOW });
  return [...objects.map(orphans.next), orphans.end()].filter((uid) => uid !== undefined);
};
const log = (uid: string, installation?: string, modifiedMs = OLD): Listed => ({
  key: logKey({ namespace: 'ns', uid, attempt: 1 }, 'pod-1', installation),
  modifiedMs,
});

describe('installationOf', () => {
  it('reads back what logKey wrote, and takes nothing else for a log', () => {
    const name = (installation?: string): string => log('u', installation).key.slice('ns/u/'.length);
    expect([installationOf(name('here')), installationOf(name())]).to.deep.equal(['here', '']);
    for (const other of [
      '1/log-1-p.here',
      'log-1',
      'log-1-',
      'log--p',
      'log-1-p.',
      'log-1-p.a.b',
      'xlog-1-p',
      '',
    ])
      expect(installationOf(other), other).to.equal(undefined);
  });
});

describe('isKeyOfRun', () => {
  it('knows the keys that we write, and takes nothing of others for one', () => {
    const uid = '6a2f41a3-c54c-4ce8-9d4d-1f1a5c9a9a01';
    const owner = { namespace: 'ns', uid, attempt: 12 };
    for (const key of [artifactKey(owner, 'a b'), logKey(owner, 'pod-1'), logKey(owner, 'pod-1', 'here')])
      expect(isKeyOfRun(key), key).to.equal(true);
    for (const key of [
      `backups/${uid}/dump`,
      `ns/${uid}/0/a`,
      `ns/${uid}/1`,
      `ns/${uid}/1/a/b`,
      `x/ns/${uid}/1/a`,
      `/${uid}/1/a`,
      'ns/uid/1/a',
      uid,
      '',
    ])
      expect(isKeyOfRun(key), key).to.equal(false);
  });
});

describe('logOrphans', () => {
  it('finds the Run that is gone, between those that are there', () => {
    expect(orphansOf([log('a', 'here'), log('b', 'here'), log('c', 'here')], ['a', 'c'])).to.deep.equal([
      'b',
    ]);
    expect(orphansOf([log('a', 'here')])).to.deep.equal(['a']);
    expect(orphansOf([])).to.deep.equal([]);
  });

  it('leaves what another cluster stored, and what does not say whose it is', () => {
    expect(orphansOf([log('a', 'there'), log('b'), log('c', 'here-too')])).to.deep.equal([]);
  });

  it('takes a Run for ours that went on here with what an older runtimed had begun', () => {
    expect(orphansOf([log('a'), log('a', 'here')])).to.deep.equal(['a']);
  });

  it('leaves what is young, whichever of its objects that is', () => {
    expect(orphansOf([log('a', 'here'), log('a', undefined, OLD + 1)])).to.deep.equal([]);
  });

  it('leaves a Run that has artifacts: somebody wanted them to stay', () => {
    expect(orphansOf([{ key: 'ns/a/1/result', modifiedMs: 0 }, log('a', 'here')])).to.deep.equal([]);
    expect(orphansOf([log('a', 'here'), { key: 'ns/a/1/log-1-p.here', modifiedMs: 0 }])).to.deep.equal([]);
  });

  it('takes nothing for a Run that has no UID, and nothing of another namespace', () => {
    expect(
      orphansOf([
        { key: 'ns/.uploads/log-1-p.here', modifiedMs: 0 },
        { key: 'ns/log-1-p.here', modifiedMs: 0 },
        { key: 'other/a/log-1-p.here', modifiedMs: 0 },
        { key: 'ns', modifiedMs: 0 },
      ]),
    ).to.deep.equal([]);
  });

  const object = fc.record({
    name: fc.constantFrom('log-1-p.here', 'log-2-q.here', 'log-1-p.there', 'log-1-p', '1/artifact', 'junk'),
    ageMs: fc.constantFrom(0, MIN_AGE_MS - 1, MIN_AGE_MS, 2 * MIN_AGE_MS),
  });
  it('keeps its invariants', () =>
    fc.assert(
      fc.property(
        fc.array(fc.array(object, { minLength: 1, maxLength: 3 }), { maxLength: 6 }),
        fc.nat(63),
        (stored, mask) => {
          const uids = stored.map((_, index) => `u${index}`);
          const known = uids.filter((_, index) => (mask >> index) % 2 === 1);
          const listed = stored.flatMap((objects, index) =>
            objects.map(({ name, ageMs }) => ({ key: `ns/u${index}/${name}`, modifiedMs: NOW - ageMs })),
          );
          const expected = uids.filter((uid, index) => {
            const objects = stored[index] ?? [];
            return (
              !known.includes(uid) &&
              objects.some(({ name }) => name.endsWith('.here')) &&
              objects.every(({ name, ageMs }) => name.startsWith('log-') && ageMs >= MIN_AGE_MS)
            );
          });
          expect(orphansOf(listed, known)).to.deep.equal(expected);
        },
      ),
    ));
});
