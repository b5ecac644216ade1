/**
 * What a short Run costs, in counts that are the same on every machine: writes to the API, Events, bytes of the
 * store. Times are for `npm run bench`.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { expect } from 'chai';
import { decodeRecords, type LogRecord } from '../../src/embedded/api/store/record.js';
import type { Run } from '../../src/model/run.js';
import type { ControlPlane } from './attach.js';
import { startControlPlane } from './control-plane.js';

/** Everything the store has written since the control plane's first start: no snapshot is taken that early. */
const recordsOf = ({ dataDir }: ControlPlane): ReadonlyArray<LogRecord> => {
  const folder = join(dataDir, 'store');
  const logs = readdirSync(folder).filter((name) => name.startsWith('log-'));
  expect(logs, 'one log').to.have.length(1);
  // How far it was synced is said of all that is written at a time, and is no write.
  return decodeRecords(readFileSync(join(folder, logs[0] ?? ''))).records.filter(({ kind }) => kind !== 'S');
};

const RUNS = 'kruntimes.io/runs';
const isEvent = ({ resource }: LogRecord): boolean => /(^|\/)events$/.test(resource);

describe('counts of a short Run', () => {
  let plane: ControlPlane;
  before(async function () {
    // On kube-apiserver the store is etcd's.
    if (process.env.CLUSTER_BINARIES !== undefined) return this.skip();
    plane = await startControlPlane();
  });
  after(() => plane?.stop());

  /** Runs one after the other; their ends. */
  const runMany = async (prefix: string, count: number, inline: string): Promise<ReadonlyArray<Run>> => {
    const ended: Run[] = [];
    for (let i = 0; i < count; i += 1) {
      const name = `${prefix}-${i}`;
      await plane.create(name, { source: { inline } });
      ended.push(await plane.end(name));
    }
    return ended;
  };

  it('two writes after its creation: Scheduled and the end', async function () {
    const writesOf = ({ metadata }: Run): number =>
      recordsOf(plane).filter(
        ({ resource, text }) => resource === RUNS && text.includes(`"name":"${metadata.name}"`),
      ).length - 1;
    let wereShort = 0;
    for (let round = 0; round < 3; round += 1) {
      const ended = await runMany(`short-${round}`, 40, ':');
      expect(Math.max(...ended.map(writesOf)), 'Scheduled, Running and the end').to.be.at.most(3);
      // On a busy machine one or the other takes so long that it is seen Running, or that its end is seen late.
      const writes = ended
        .filter(({ status }) => (status?.completionTime ?? 0) - (status?.startTime ?? 0) < 25_000)
        .map(writesOf);
      wereShort = Math.max(wereShort, writes.length);
      const seenRunning = writes.filter((count) => count > 2).length;
      if (writes.length >= 4 && seenRunning <= writes.length / 4) return;
    }
    // Where a shell takes longer than that no Run is short, and there is nothing to count.
    if (wereShort < 4) return this.skip();
    expect.fail('short Runs were written Running, in three rounds of forty');
  });

  it('its Events come from a budget, and nothing else is written for it', async () => {
    const before = recordsOf(plane).length;
    const began = performance.now();
    await runMany('counted', 60, ':');
    const seconds = (performance.now() - began) / 1_000;
    const since = recordsOf(plane).slice(before);
    const events = since.filter(isEvent).length;
    // src/decide/notes.ts: a burst of 50, then 5 per second.
    expect(events).to.be.at.most(50 + Math.ceil(seconds) * 5);
    const others = since.filter((record) => record.resource !== RUNS && !isEvent(record));
    // The Runtime's own status may say how busy it is, at most once a second.
    expect(others.length, others.map(({ resource }) => resource).join()).to.be.below(20 + seconds);
  });

  it('its script is written once, however large: at its creation', async () => {
    const bytesOf = async (prefix: string, inline: string): Promise<number> => {
      const before = recordsOf(plane).length;
      await runMany(prefix, 8, inline);
      return recordsOf(plane)
        .slice(before)
        .filter(({ resource }) => resource === RUNS)
        .reduce((sum, { text }) => sum + text.length, 0);
    };
    const size = 100_000;
    const small = await bytesOf('small', ':');
    const large = await bytesOf('large', `:\n#${'x'.repeat(size)}`);
    expect((large - small) / 8).to.be.within(size * 0.98, size * 1.02);
  });
});
