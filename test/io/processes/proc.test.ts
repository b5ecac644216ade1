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
    // A shell that becomes one that does not wait leaves its child a zombie, if that ends after it has.
    const parent = spawn('bash', ['-c', 'read -r _ <&3 & exec sleep 60 3<&-'], {
      stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
    });
    try {
      await once(parent, 'spawn');
      const until = async <A>(find: () => A | undefined): Promise<A> => {
        for (;;) {
          const found = find();
          if (found !== undefined) return found;
          await new Promise((resolve) => setImmediate(resolve));
        }
      };
      const name = `/proc/${parent.pid}/comm`;
      await until(() => readFileSync(name, 'latin1') === 'sleep\n' || undefined);
      parent.stdio[3]?.destroy();
      const pid = await until(() => processIds().find((id) => isZombieOf(id, parent.pid ?? 0)));
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
