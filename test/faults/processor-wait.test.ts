import { existsSync } from 'node:fs';

import { expect } from 'chai';

import { formatProcessorWait, measureProcessorWait } from './processor-wait.js';

/** Of all threads together; the main one, which is counted, has most of it. */
const burn = (ms: number): void => {
  const usedMs = (): number => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  };
  for (const untilMs = usedMs() + ms; usedMs() < untilMs; );
};

describe('measureProcessorWait', () => {
  before(function () {
    if (!existsSync('/proc/self/schedstat')) this.skip();
  });

  it('counts what was used since it was asked, and nothing before', () => {
    burn(200);
    const asked = measureProcessorWait(() => [process.pid]);
    expect(asked().hadMs).to.be.below(20);
    burn(200);
    expect(asked().hadMs).to.be.above(20);
  });

  it('counts nothing of who has gone, and all of who is new', () => {
    let pids: ReadonlyArray<number> = [process.pid, 2 ** 22 + 1];
    const gone = measureProcessorWait(() => pids);
    pids = [2 ** 22 + 1];
    expect(gone()).to.deep.equal({ hadMs: 0, waitedMs: 0 });
    const asked = measureProcessorWait(() => pids);
    pids = [process.pid];
    expect(asked().hadMs).to.be.above(50);
  });

  it('is told in seconds', () =>
    expect(formatProcessorWait({ hadMs: 1234, waitedMs: 56_789 })).to.equal(
      'had 1.2 s of processor time and waited 56.8 s for it',
    ));
});
