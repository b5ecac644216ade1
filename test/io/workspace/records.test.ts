/**
 * What a restarted runtimed finds on its disk.
 *
 * - an attempt and its end are found as they were noted
 * - whatever else is there (torn, foreign, of another version, any bytes): those that are whole are found all the same,
 *   and each of the others is told as torn, by an id that leads nowhere else
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect } from 'chai';
import fc from 'fast-check';

import type { Assignment } from '../../../src/decide/sidecar/attempt.js';
import { type Folders, placesOf } from '../../../src/decide/sidecar/environment.js';
import { AttemptFiles } from '../../../src/io/workspace/attempt-files.js';
import { findRecords, recordAttempt, recordEnd, refFromId } from '../../../src/io/workspace/records.js';
import type { RunUid } from '../../../src/model/ids.js';
import { micros } from '../../../src/model/time.js';

const assignmentOf = (uid: string): Assignment => ({
  ref: { namespace: 'n', name: `run-${uid}`, uid: uid as RunUid, attempt: 1 },
  runtime: 'bash',
  requests: { runs: 1 },
  policy: { retry: { maxAttempts: 1, backoffMs: 0, reasons: [] }, cancelRequested: false },
  status: { phase: 'Scheduled' },
  timeoutMs: 1000,
});

describe('findRecords', () => {
  let base: string;
  let folders: Folders;
  let files: AttemptFiles;
  beforeEach(async () => {
    base = mkdtempSync(join(tmpdir(), 'krt-records-'));
    folders = { work: join(base, 'work'), state: join(base, 'state') };
    files = await AttemptFiles.open(folders, 'pod');
  });
  afterEach(() => rmSync(base, { recursive: true, force: true }));

  it('finds an attempt and its end as they were noted', async () => {
    const [open, over] = [assignmentOf('a'), assignmentOf('b')];
    recordAttempt('pod', open, files);
    recordAttempt('pod', over, files);
    const end = {
      kind: 'AttemptEnded',
      result: { kind: 'Failed', reason: 'RuntimeError', message: 'exit code 3', exitCode: 3 },
      at: micros(1_700_000_000_123_456),
      chance: 0.5,
    } as const;
    await recordEnd(folders, 'pod', over, end);
    const { found, torn } = await findRecords(folders, 'pod');
    expect(found).to.have.deep.members([{ assignment: open }, { assignment: over, end }]);
    expect(torn).to.deep.equal([]);
    expect((await findRecords(folders, 'another')).found).to.deep.equal([]);
  });

  it('finds what is whole beside whatever else is there, and tells the rest as torn', async () => {
    recordAttempt('pod', assignmentOf('whole'), files);
    const good = JSON.parse(await readFile(placesOf(folders, assignmentOf('whole').ref).record, 'utf8'));
    const text = JSON.stringify({ ...good, ref: { ...good.ref, uid: 'other' } });
    const mutated = fc
      .tuple(
        fc.constantFrom(...Object.keys(good), 'ref.uid', 'ref.attempt', 'policy.retry', 'status.phase'),
        fc.oneof(fc.constant(null), fc.integer(), fc.constant({}), fc.constant([]), fc.boolean()),
      )
      .map(([path, value]) => {
        const copy = structuredClone(good);
        const keys = path.split('.');
        const last = keys.pop() ?? '';
        const parent = keys.reduce((object, key) => object[key], copy);
        parent[last] = typeof parent[last] === typeof value && value !== null ? null : value;
        return JSON.stringify(copy);
      });
    const bad = fc.oneof(
      fc.nat({ max: text.length - 1 }).map((length) => text.slice(0, length)),
      fc.uint8Array({ maxLength: 60 }),
      fc.json(),
      mutated,
    );
    let tried = 0;
    await fc.assert(
      fc.asyncProperty(bad, bad, async (record, end) => {
        writeFileSync(join(folders.state, 'attempts', 'bad.json'), record);
        writeFileSync(join(folders.state, 'ends', 'bad.json'), end);
        writeFileSync(join(folders.state, 'ends', 'half.json.new'), end);
        const { found, torn } = await findRecords(folders, 'pod');
        const uids = found.map(({ assignment }) => assignment.ref.uid);
        expect(uids).to.include('whole');
        expect(uids.filter((uid) => uid !== 'whole')).to.deep.equal([]);
        expect(torn).to.deep.equal(['bad']);
        tried += 1;
      }),
      { numRuns: 150 },
    );
    expect(tried).to.equal(150);
  });

  it('makes of no id a way out of the folders', () =>
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), fc.constantFrom('..', '.', '../x', 'a/../../b', '..1', '.2', 'a.b', '', '\0')),
        (id) => {
          const ref = refFromId(id);
          if (ref === undefined) return;
          const { workspace, own, record } = placesOf({ work: '/w', state: '/s' }, ref);
          expect(workspace.startsWith('/w/') || workspace === '/w').to.equal(true);
          expect(ref.uid).to.not.contain('/');
          for (const [path, root] of [
            [own, '/w/.kruntimes'],
            [record, '/s/attempts'],
          ] as const)
            expect(path.startsWith(root), `${id} → ${path}`).to.equal(true);
        },
      ),
      { numRuns: 1000 },
    ));
});
