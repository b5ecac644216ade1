/** What /proc says about processes, where there is one. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';

import { expect } from 'chai';

import {
  hasMemory,
  hasProc,
  processFact,
  processIds,
  processKin,
  ticksNow,
} from '../../../src/io/processes/proc.js';

const isZombieOf = (pid: number, parent: number): boolean => {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'latin1').includes(`) Z ${parent} `);
  } catch {
    return false;
  }
};

describe('of a process', () => {
  before(function () {
    if (!hasProc()) this.skip();
  });

  it('its kin is what its facts say, and it was started before now and after what was there', async () => {
    // What it says may be later by 50 ms than it is.
    const before = (ticksNow() ?? Number.NaN) - 5;
    // Its name tries to look like a line of its status.
    const child = spawn('bash', ['-c', `exec -a $'x)\\nPPid:\\t1' sleep 60`], { detached: true });
    try {
      await once(child, 'spawn');
      const pid = child.pid ?? 0;
      const fact = processFact(pid);
      expect(fact).to.deep.include({ pid, parent: process.pid, group: pid, session: pid });
      expect({ ...processKin(pid), start: fact?.start }).to.deep.equal(fact);
      expect(fact?.start).to.be.within(before, ticksNow() ?? Number.NaN);
      expect(hasMemory(pid)).to.equal(true);
    } finally {
      child.kill('SIGKILL');
    }
  });

  it('nothing is said once it is over, though nobody has reaped it', async () => {
    // A shell that becomes one that does not wait leaves its child a zombie.
    const parent = spawn('bash', ['-c', 'true & exec sleep 60']);
    try {
      await once(parent, 'spawn');
      const child = async (): Promise<number> => {
        for (;;) {
          const pid = processIds().find((id) => id !== parent.pid && isZombieOf(id, parent.pid ?? 0));
          if (pid !== undefined) return pid;
          await new Promise((resolve) => setImmediate(resolve));
        }
      };
      const pid = await child();
      expect([processFact(pid), processKin(pid), hasMemory(pid)]).to.deep.equal([
        undefined,
        undefined,
        false,
      ]);
    } finally {
      parent.kill('SIGKILL');
    }
  });
});
