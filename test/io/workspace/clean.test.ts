/** What an attempt leaves on disk is removed, also where that is not possible at once. */
import { expect } from 'chai';
import { asyncScheduler, lastValueFrom, type SchedulerLike } from 'rxjs';

import type { AttemptRef } from '../../../src/decide/sidecar/attempt.js';
import type { AttemptFiles } from '../../../src/io/workspace/attempt-files.js';
import { cleanPatiently } from '../../../src/io/workspace/clean.js';
import type { RunUid } from '../../../src/model/ids.js';

const ref: AttemptRef = { namespace: 'n', name: 'r', uid: 'u' as RunUid, attempt: 1 };

describe('cleanPatiently', () => {
  const pauses: number[] = [];
  /** Notes how long it was to wait, and does not. */
  const clock: SchedulerLike = {
    now: asyncScheduler.now,
    schedule: (work, delay = 0, state) => {
      pauses.push(delay);
      return asyncScheduler.schedule(work as Parameters<typeof asyncScheduler.schedule>[0], 0, state);
    },
  };
  beforeEach(() => pauses.splice(0));

  /** Files that cannot be removed the first so many times. */
  const stubborn = (times: number) => {
    const removed: string[] = [];
    let left = times;
    return {
      removed,
      files: {
        removeWorkspace: async () => {
          left -= 1;
          if (left >= 0) throw Object.assign(new Error('too many open files'), { code: 'EMFILE' });
          removed.push('workspace');
        },
        removeOwn: async () => void removed.push('own'),
        removeRecord: () => void removed.push('record'),
      } as unknown as AttemptFiles,
    };
  };

  it('tries again after growing pauses, and removes the record last', async () => {
    const { files, removed } = stubborn(3);
    await lastValueFrom(cleanPatiently(ref, files, clock), { defaultValue: undefined });
    expect(pauses).to.deep.equal([200, 400, 800]);
    expect(removed).to.deep.equal(['workspace', 'own', 'record']);
  });

  it('gives up after 21 s, and keeps the record for the next runtimed', async () => {
    const { files, removed } = stubborn(100);
    const why = await lastValueFrom(cleanPatiently(ref, files, clock), { defaultValue: undefined }).catch(
      (error: Error) => error.message,
    );
    expect(why).to.equal('too many open files');
    expect(pauses.reduce((a, b) => a + b, 0)).to.equal(21_200);
    expect(removed).to.deep.equal([]);
  });
});
