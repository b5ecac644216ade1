/**
 * A whole control plane whose Runtime keeps its artifacts in a bucket of a real server: large artifacts, a runtimed that is
 * killed, a store that is away, deletion. Needs servers: `npm run test:stores`.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

import { expect } from 'chai';

import { conditionOf } from '../../src/model/conditions.js';
import { runs, runtimes } from '../../src/model/resources.js';
import type { Run } from '../../src/model/run.js';
import { answer, type ControlPlane } from '../e2e/control-plane.js';
import { SERVERS, type StoreServer } from './servers.js';
import { runtimedOf, startStoredPlane } from './stored-plane.js';

const MIB = 1024 ** 2;
/** What runtimed may grow by for uploads of any size: chunks of the drivers, and what V8 has not collected. */
const GROWTH_MIB = 128;

/** Memory of a process, MiB: now, and its highest since `clear_refs` was written. */
const memoryOf = (pid: number): Readonly<{ now: number; highest: number }> => {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const line = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1]) / 1024;
  return { now: line('VmRSS'), highest: line('VmHWM') };
};

for (const [driver, start] of Object.entries(SERVERS))
  describe(`artifacts in ${driver}, end to end`, function () {
    this.timeout(300_000);
    let server: StoreServer;
    let plane: ControlPlane;
    before(async function () {
      if (!process.env.STORE_SERVERS) this.skip();
      server = await start();
      plane = await startStoredPlane(server);
    });
    after(async () => {
      await plane?.stop();
      await server?.stop();
    });

    const begin = (name: string, script: string): Promise<Run> =>
      plane.create(name, {
        runtime: 'stored',
        source: { inline: `cd "$KRUNTIME_ARTIFACTS_DIR"; ${script}` },
      });
    /** Keys of the Run's artifacts, below its UID. */
    const stored = async ({ metadata }: Run): Promise<ReadonlyArray<string>> => {
      const prefix = `default/${metadata.uid}/`;
      const keys: string[] = [];
      for await (const { key } of server.open().list(prefix)) keys.push(key.slice(prefix.length));
      return keys.filter((key) => !key.startsWith('log-')).sort();
    };
    const remove = (name: string): Promise<unknown> =>
      answer(plane.kube.delete(runs, { namespace: 'default', name }));

    it('stores an artifact of 1 GiB, or as much as the server can, with memory flat, and removes it with the Run', async function () {
      const limitMs = 60_000 + 600 * server.largestMib;
      this.timeout(limitMs + 120_000);
      await begin('warm-up', 'truncate -s 40M warm');
      expect((await plane.end('warm-up', 60_000)).status?.phase).to.equal('Succeeded');
      const pid = runtimedOf(plane);
      const before = memoryOf(pid).now;
      writeFileSync(`/proc/${pid}/clear_refs`, '5');
      await begin('big', `truncate -s ${server.largestMib}M big`);
      const run = await plane.end('big', limitMs);
      expect(run.status?.phase).to.equal('Succeeded');
      expect(run.status?.artifactRefs?.[0]?.sizeBytes).to.equal(server.largestMib * MIB);
      const growth = memoryOf(pid).highest - before;
      process.stdout.write(
        `      runtimed: ${before.toFixed(0)} MiB before, at most ${growth.toFixed(0)} more\n`,
      );
      expect(growth, 'MiB of growth').to.be.below(GROWTH_MIB);
      expect(await stored(run)).to.deep.equal(['1/big']);
      await remove('big');
      await plane.whenGone('big', 60_000);
      expect(await stored(run)).to.deep.equal([]);
    });

    it('stores the whole again when runtimed is killed in the middle of an upload', async () => {
      await begin('killed', 'truncate -s 120M big; echo small > small');
      const key = (url: string): boolean => /big/.test(url);
      for (const from = server.proxy.seen.length; !server.proxy.seen.slice(from).some((url) => key(url)); )
        await pause(5);
      process.kill(runtimedOf(plane), 'SIGKILL');
      const run = await plane.end('killed', 120_000);
      expect(run.status?.phase, run.status?.message).to.equal('Succeeded');
      expect(run.status?.artifactRefs?.map(({ name, sizeBytes }) => [name, sizeBytes])).to.deep.equal([
        ['big', 120 * MIB],
        ['small', 6],
      ]);
      expect(await stored(run)).to.deep.equal(['1/big', '1/small']);
      await remove('killed');
      await plane.whenGone('killed', 60_000);
      expect(await stored(run)).to.deep.equal([]);
    });

    it('waits for a store that is away for a minute', async () => {
      await server.proxy.close();
      try {
        await begin('minute', 'echo kept > file');
        await plane.whenRun('minute', ({ status }) => status?.artifactStores !== undefined);
        await pause(60_000);
      } finally {
        await server.proxy.open();
      }
      const run = await plane.end('minute', 60_000);
      expect(run.status?.phase, run.status?.message).to.equal('Succeeded');
      expect(await stored(run)).to.deep.equal(['1/file']);
    });

    it('says on a deleted Run that the store is away, and removes its artifacts when it is back', async () => {
      await begin('patient', 'echo kept > file');
      const run = await plane.end('patient', 60_000);
      await server.proxy.close();
      try {
        await remove('patient');
        const told = await plane.whenRun(
          'patient',
          ({ status }) => conditionOf(status?.conditions, 'ArtifactsRemoved') !== undefined,
          120_000,
        );
        const condition = conditionOf(told.status?.conditions, 'ArtifactsRemoved');
        expect(condition).to.include({ status: 'False', reason: 'StoreFailed' });
        expect(condition?.message).to.match(/results/);
      } finally {
        await server.proxy.open();
      }
      await plane.whenGone('patient', 120_000);
      expect(await stored(run)).to.deep.equal([]);
    });

    it('removes artifacts through a pod made for it when the Runtime is gone', async () => {
      await begin('orphan', 'echo kept > file');
      const run = await plane.end('orphan', 60_000);
      expect(await stored(run)).to.deep.equal(['1/file']);
      await answer(plane.kube.delete(runtimes, { namespace: 'default', name: 'stored' }));
      await remove('orphan');
      await plane.whenGone('orphan', 120_000);
      expect(await stored(run)).to.deep.equal([]);
    });
  });
