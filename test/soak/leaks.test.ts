import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect } from 'chai';

import { Client } from '../runtimes/bash/harness.js';
import { type Probe, type ProbedPrograms, probedPrograms } from './probed-programs.js';
import type { Reading } from './question.js';
import { isRising, type Sample, type Trend, trendOf } from './trend.js';

const ROUNDS = 12;
const PER_ROUND = 6;
/** Per round. A soak's has 200 Runs, and so much heap has to be found, for what V8 makes of the code comes and goes. */
const LEAKS = { heap: 200, buffers: 200, native: 200, timers: 6, subscriptions: 6, descriptors: 6 };
const SERIES: Readonly<Record<string, string>> = {
  heap: 'heap KiB',
  buffers: 'buffers KiB',
  native: 'resident native KiB',
};
const COUNTED = ['descriptors', 'timers', 'subscriptions', 'children', 'sockets', 'promises'];

describe('a Bash Runtime Server with a probe in it', () => {
  let folder = '';
  let programs: ProbedPrograms;
  let server: ChildProcess;
  let client: Client;
  let probe: Probe;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'soak-'));
    const [work, socket] = [join(folder, 'work'), join(folder, 'server.sock')];
    mkdirSync(work);
    programs = await probedPrograms(folder, ['bash-runtime']);
    const program = join(programs.folder, 'bash-runtime.js');
    server = spawn(process.execPath, [program, '--listen', `unix:${socket}`, '--work-dir', work], {
      env: { ...process.env, KRUNTIME_PARENT_FD: '3' },
      stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
    });
    [probe] = (await programs.first(1)) as [Probe];
    client = new Client(`unix:${socket}`, work);
    await new Promise<void>((resolve, reject) =>
      client.grpc.waitForReady(Date.now() + 30_000, (error) => (error ? reject(error) : resolve())),
    );
  });
  after(() => {
    client.grpc.close();
    server.kill('SIGKILL');
    programs.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** By what is read, its trend over the executions, as if there were one a minute. */
  const trends = async (look: () => Promise<Reading>): Promise<(what: string) => Trend> => {
    const series = new Map<string, Sample[]>();
    for (let round = 1; round <= ROUNDS; round += 1) {
      await Promise.all(
        Array.from({ length: PER_ROUND }, async () => {
          const { id, exited } = await client.run('echo hello\n');
          expect(exited.code).to.equal(0);
          await client.forget(id);
        }),
      );
      for (const [what, value] of Object.entries(await look()))
        series.set(what, [...(series.get(what) ?? []), { atMs: round * PER_ROUND * 60_000, value }]);
    }
    return (what) => {
      const trend = trendOf(series.get(what) ?? []);
      if (trend === undefined) throw new Error(`${what} was not read`);
      return trend;
    };
  };
  const read = (): Promise<Reading> => probe.ask({ isCollected: true });

  it('holds after executions what it held before', async () => {
    const found = await trends(read);
    for (const what of COUNTED) expect(isRising(found(what)), what).to.equal(false);
  });

  it('is found to leak, whatever it is', async () => {
    const found = await trends(async () => {
      for (const [kind, count] of Object.entries(LEAKS))
        await probe.ask({ isCollected: false, plants: [{ kind, count }] });
      return read();
    });
    for (const [kind, count] of Object.entries(LEAKS)) {
      if (kind === 'native' && !existsSync('/proc/self/smaps')) continue;
      const trend = found(SERIES[kind] ?? kind);
      expect(isRising(trend), kind).to.equal(true);
      // What buffers hold is native, too.
      const held = kind === 'native' ? count + LEAKS.buffers : count;
      expect(trend.slope, kind).to.be.within(held / PER_ROUND / 2, (held / PER_ROUND) * 2);
    }
  });
});
