/**
 * Nothing of a test file may be left when it is over: no timer, socket, server or child that would keep its process from
 * ending, and at the end of all no process that a test started. mocha's workers (`--parallel`) are ended when all is done,
 * whatever they still hold, so nobody else would notice. Loaded by .mocharc.yml, also for a single file.
 */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';

import { killMarkedProcesses, markedProcesses } from '../../src/embedded/kubelet/sweep.js';

/** Time that what is being closed may take, milliseconds; on a busy machine a program takes seconds to end. */
const LIMIT_MS = 60_000;

/** In the environment of all that the tests start: Runtime Servers take none away but those named KRUNTIME_. */
const VARIABLE = 'STARTED_BY_TESTS';

let isLeftAlready = false;

/**
 * Resolves when the event loop is empty, which node says by `beforeExit`; rejects with what keeps it going. A worker's
 * channel to mocha does not count.
 */
const emptyLoop = (): Promise<void> =>
  new Promise((resolve, reject) => {
    process.channel?.unref();
    const end = (): void => {
      clearTimeout(limit);
      process.off('beforeExit', onEmpty);
      process.channel?.ref();
    };
    const onEmpty = (): void => {
      end();
      resolve();
    };
    // It does not keep the loop going itself; what is left does.
    const limit = setTimeout(() => {
      end();
      isLeftAlready = true;
      reject(
        new Error(`the file is over, and there is still: ${process.getActiveResourcesInfo().join(', ')}`),
      );
    }, LIMIT_MS).unref();
    process.on('beforeExit', onEmpty);
  });

export const mochaHooks = {
  /** Put behind the hooks that files have outside their suites, which are loaded by now: they may end what is shared. */
  beforeAll(this: Mocha.Context): void {
    this.test?.parent?.afterAll('nothing is left', function (this: Mocha.Context, done: Mocha.Done): void {
      // mocha's own timer would keep the loop going.
      this.test?.clearTimeout();
      // What an earlier file of the same worker left has been told.
      if (isLeftAlready) done();
      else emptyLoop().then(done, done);
    });
  },
};

const mark = { variable: VARIABLE, prefix: randomUUID() };

/** In mocha's own process, before the workers start. */
export const mochaGlobalSetup = (): void => {
  process.env[VARIABLE] = mark.prefix;
};

/** In mocha's own process, when all files are over. Rejects, and so makes mocha fail, when a process is left. */
export const mochaGlobalTeardown = async (): Promise<void> => {
  const untilMs = performance.now() + LIMIT_MS;
  // The end of a process that is not our child comes without an event.
  while (markedProcesses(mark).length > 0 && performance.now() < untilMs)
    await new Promise((resolve) => setTimeout(resolve, 50));
  const left = markedProcesses(mark).map((pid) => `${pid} ${commandLine(pid)}`);
  if (left.length === 0) return;
  killMarkedProcesses(mark);
  throw new Error(`all tests are over, and there is still:\n${left.join('\n')}`);
};

const commandLine = (pid: number): string => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ');
  } catch {
    return '(gone just now)';
  }
};
