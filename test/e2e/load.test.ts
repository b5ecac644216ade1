/**
 * Many Runs at once, with everything real: order, capacity, writes; then with processes killed in the middle.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect } from 'chai';

import type { Run } from '../../src/model/run.js';
import type { ControlPlane } from './attach.js';
import { startControlPlane } from './control-plane.js';

/** Most of the intervals [start, end) that hold at one time. */
const mostAtOnce = (runs: ReadonlyArray<Run>): number => {
  const moments = runs
    .flatMap(({ status }) => [
      { at: status?.startTime ?? 0, by: 1 },
      { at: status?.completionTime ?? 0, by: -1 },
    ])
    .sort((a, b) => a.at - b.at || a.by - b.by);
  let [now, most] = [0, 0];
  for (const { by } of moments) {
    now += by;
    most = Math.max(most, now);
  }
  return most;
};

/** Each Run's phases as the watch saw them, repeats left out. */
const phasesOf = (history: ReadonlyArray<Run>): ReadonlyArray<string> =>
  history
    .map(({ status }) => `${status?.phase ?? 'Pending'}/${status?.attempt ?? 0}`)
    .filter((p, i, all) => p !== all[i - 1]);

const names = (prefix: string, count: number): ReadonlyArray<string> =>
  Array.from({ length: count }, (_, i) => `${prefix}-${String(i).padStart(3, '0')}`);

describe('200 Runs at once on 2 pods x 4', () => {
  let plane: ControlPlane;
  let side: string;
  before(async () => {
    plane = await startControlPlane();
    side = mkdtempSync(join(tmpdir(), 'krt-side-'));
  });
  after(async () => {
    await plane?.stop();
    rmSync(side, { recursive: true, force: true });
  });

  /** Lines of the file that the Runs' scripts wrote: `uid attempt`. */
  const sideEffects = (file: string): ReadonlyArray<string> =>
    readFileSync(join(side, file), 'utf8').trim().split('\n');

  it('all end, never more than 8 at a time, oldest first, at most three status writes each', async () => {
    const all = names('many', 200);
    for (const name of all) await plane.create(name, { source: { inline: 'sleep 0.05' } });
    const ended = await Promise.all(all.map((name) => plane.end(name)));
    expect(ended.map(({ status }) => status?.phase)).to.deep.equal(all.map(() => 'Succeeded'));
    expect(mostAtOnce(ended)).to.be.at.most(8).and.at.least(4);
    const scheduled = [...ended].sort(
      (a, b) => (a.status?.scheduledTime ?? 0) - (b.status?.scheduledTime ?? 0),
    );
    expect(scheduled.map(({ metadata }) => metadata.name)).to.deep.equal(all);
    for (const name of all) {
      // The creation, Waited at most once, Scheduled, Running at most once, the end.
      expect(plane.history(name).length, `versions of ${name}`).to.be.at.most(5);
      expect(phasesOf(plane.history(name)).at(-1)).to.equal('Succeeded/1');
    }
  });

  it('every Run ends though operator, runtimed, Runtime Server and API server are killed, and none runs twice unsaid', async () => {
    const all = names('killed', 120);
    const inline = `echo "$KRUNTIME_RUN_UID $KRUNTIME_ATTEMPT" >> ${side}/effects; sleep 0.2`;
    const retryPolicy = { maxAttempts: 6, backoff: '100ms' };
    const created = all.map((name) => plane.create(name, { source: { inline }, retryPolicy }));
    await Promise.all(created);
    const atEnd = async (i: number, program: string): Promise<void> => {
      await plane.end(all[i] ?? '');
      const [pid] = plane.pidsOf(program);
      expect(pid, `a process of ${program}`).to.not.equal(undefined);
      if (pid !== undefined) process.kill(pid, 'SIGKILL');
    };
    await atEnd(10, 'controller.js');
    await atEnd(30, 'runtimed.js');
    await atEnd(50, 'bash-runtime.js');
    await atEnd(70, 'apiserver.js');
    const ended = await Promise.all(all.map((name) => plane.end(name)));
    // On a busy machine the last Run may have ended by the time it was killed.
    await plane.whenServed();
    expect(
      ended
        .filter(({ status }) => status?.phase !== 'Succeeded')
        .map(({ metadata, status }) => [metadata.name, status]),
    ).to.deep.equal([]);
    expect(mostAtOnce(ended)).to.be.at.most(8);
    const effects = sideEffects('effects');
    expect(new Set(effects).size, 'an attempt ran twice').to.equal(effects.length);
    for (const { metadata, status } of ended) {
      const attempts = effects.filter((line) => line.startsWith(metadata.uid)).length;
      expect(attempts, `executions of ${metadata.name}`).to.be.at.most(status?.attempt ?? 0);
      expect(effects).to.include(`${metadata.uid} ${status?.attempt}`);
    }
  });

  it('a rollout and a scale-down under load fail no Run', async () => {
    const all = names('rolled', 60);
    const creating = all.map((name) => plane.create(name, { source: { inline: 'sleep 0.2' } }));
    await Promise.all(creating);
    await plane.end(all[5] ?? '');
    const before = await plane.podNames();
    await plane.patchRuntime('bash', { spec: { template: { metadata: { annotations: { round: '2' } } } } });
    await plane.end(all[20] ?? '');
    await plane.patchRuntime('bash', { spec: { replicas: 1 } });
    const ended = await Promise.all(all.map((name) => plane.end(name)));
    expect(ended.map(({ status }) => `${status?.phase}/${status?.attempt}`)).to.deep.equal(
      all.map(() => 'Succeeded/1'),
    );
    const after = await plane.podNames();
    expect(after.filter((name) => before.includes(name) && after.length === 1)).to.deep.equal([]);
  });
});
