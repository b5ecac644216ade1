import { existsSync } from 'node:fs';

import { expect } from 'chai';

import { formatProcessorWait, measureProcessorWait } from './processor-wait.js';

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
    burn(60);
    const asked = measureProcessorWait(() => [process.pid]);
    expect(asked().hadMs).to.be.below(50);
    burn(60);
    expect(asked().hadMs).to.be.at.least(50);
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
