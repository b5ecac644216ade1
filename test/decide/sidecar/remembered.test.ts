/** What stays of an assignment that has ended here: its name, of the last 8,192, so that it is not begun again. */
import { expect } from 'chai';

import { Holdings, REMEMBERED_ENDS } from '../../../src/decide/sidecar/holdings.js';
import type { Run } from '../../../src/model/run.js';
import { micros } from '../../../src/model/time.js';
import { assignedRun, POD } from './assigned-run.js';

const moment = { at: micros(1), chance: 0 };
const execution = { workingDir: '', entrypoint: 'script', args: [], env: {}, timeoutSeconds: 0 };

const aRun = (n: number): Run =>
  assignedRun(`uid-${n}`, {}, { scheduledTime: micros(1_700_000_000_000_000 + n) });

describe('assignments that ended', () => {
  it('are remembered, the last of them, and nothing else is held', () => {
    const holdings = new Holdings({ uid: POD, capacity: { runs: 1 } });
    const isTaken = (n: number): boolean =>
      holdings.reduce({ kind: 'Assigned', run: aRun(n), via: 'session' }, moment).length > 0;
    /** The Run is deleted while its workspace is being made. */
    const end = (n: number): void => {
      const id = `uid-${n}`;
      holdings.reduce({ kind: 'Vanished', uid: id }, moment);
      holdings.reduce({ kind: 'Attempt', id, input: { kind: 'Prepared', execution } }, moment);
      holdings.reduce({ kind: 'Cleaned', id }, moment);
    };
    const count = 2 * REMEMBERED_ENDS;
    for (let n = 0; n < count; n += 1) {
      expect(isTaken(n)).to.equal(true);
      end(n);
    }
    expect(holdings.size).to.equal(0);
    expect(holdings.used).to.deep.equal({ runs: 0 });
    const taken = Array.from({ length: count }, (_, n) => n).filter(
      (n) => n >= count - REMEMBERED_ENDS && isTaken(n),
    );
    expect(taken, 'remembered').to.deep.equal([]);
    expect(isTaken(count - REMEMBERED_ENDS - 1), 'forgotten').to.equal(true);
  });
});
