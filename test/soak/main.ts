/**
 * npm run soak -- --minutes N --seed S: steady and bursty load with faults that kill nobody, for as long as one likes;
 * what each process holds is sampled, and the second half is tested for growth (trend.ts). The exit code is 1 where
 * something grows, or a Run did not end as it should.
 *
 * Processes are not killed here: their memory would begin anew. What killing does is the fault matrix' business.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { socketFolder } from '../../src/embedded/kubelet/socket-folder.js';
import { FAULTS } from '../faults/faults.js';
import { startFaultyPlane } from '../faults/plane.js';
import { seeded } from '../model-check/explore.js';
import { metricsReading, processReading } from './probe.js';
import { floors, isGrowing, type Sample, trendOf } from './trend.js';

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '10' }, seed: { type: 'string', default: '1' } },
});
const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const SAMPLE_MS = 5000;
const BLOCK_MS = 20_000;
const STEADY_PER_SECOND = 4;
const BURST = 60;
const BURST_EVERY_MS = 45_000;
const FAULT_EVERY_MS = 25_000;
const PROGRAMS = ['apiserver.js', 'controller.js', 'kubelet.js', 'runtimed.js', 'bash-runtime.js'];

const random = seeded(Number(values.seed));
const durationMs = Number(values.minutes) * 60_000;
const faults = FAULTS.filter(({ name }) => !/killed|deleted|slowed/.test(name));
const plane = await startFaultyPlane(2, 4);
const sockets = socketFolder(plane.dataDir);
const beganMs = Date.now();
const isOn = (): boolean => Date.now() - beganMs < durationMs;

const series = new Map<string, Sample[]>();
const note = (process: string, reading: Readonly<Record<string, number>>): void => {
  for (const [name, value] of Object.entries(reading)) {
    const key = `${process}: ${name}`;
    const samples = series.get(key) ?? [];
    series.set(key, samples);
    samples.push({ atMs: Date.now() - beganMs, value });
  }
};

/** Metrics of the pods' runtimed: one socket each. */
const podMetrics = (): ReadonlyArray<string> =>
  readdirSync(sockets, { recursive: true })
    .map(String)
    .filter((path) => path.endsWith('9090.sock'))
    .map((path) => join(sockets, path));

const sample = async (): Promise<void> => {
  while (isOn()) {
    for (const program of PROGRAMS)
      for (const pid of plane.pidsOf(program)) {
        const reading = processReading(pid);
        if (reading) note(`${program} ${pid}`, reading);
      }
    note('operator', await metricsReading(join(sockets, 'controller-metrics.sock')));
    for (const socket of podMetrics())
      note(`runtimed ${socket.split('/').at(-2)}`, await metricsReading(socket));
    await sleep(SAMPLE_MS);
  }
};

let [created, ended, failed, refused] = [0, 0, 0, 0];
const one = async (): Promise<void> => {
  created += 1;
  const name = `soak-${created}`;
  const inline =
    random() < 0.2
      ? 'for i in $(seq 200); do echo "line $i of some output"; done; echo "n=1" >> "$KRUNTIME_OUTPUTS"'
      : `sleep 0.${Math.floor(random() * 5)}; echo done`;
  try {
    await plane.create(name, {
      source: { inline },
      retryPolicy: { maxAttempts: 5, backoff: '200ms' },
      ttlSecondsAfterFinished: 10,
    });
  } catch {
    refused += 1;
    return;
  }
  const run = await plane.end(name, 120_000).catch(() => undefined);
  if (run?.status?.phase === 'Succeeded') ended += 1;
  else {
    failed += 1;
    say(`${name} is ${run?.status?.phase ?? 'not ended after 120 s'}: ${run?.status?.message ?? ''}`);
  }
};
const pending = new Set<Promise<void>>();
const begin = (): void => {
  const run = one().finally(() => pending.delete(run));
  pending.add(run);
};
const load = async (): Promise<void> => {
  let burstMs = BURST_EVERY_MS;
  while (isOn()) {
    begin();
    if (Date.now() - beganMs > burstMs) {
      burstMs += BURST_EVERY_MS;
      for (let i = 0; i < BURST; i += 1) begin();
    }
    await sleep(1000 / STEADY_PER_SECOND);
  }
  await Promise.all(pending);
};

let befell = 0;
const trouble = async (): Promise<void> => {
  while (isOn()) {
    await sleep(FAULT_EVERY_MS * (0.5 + random()));
    const fault = faults[Math.floor(random() * faults.length)];
    // The last minute is quiet: what is open then is not waiting for anything.
    if (!fault || Date.now() - beganMs > durationMs - 60_000) continue;
    befell += 1;
    say(`${Math.round((Date.now() - beganMs) / 1000)} s: ${fault.name}`);
    await fault.apply(plane);
  }
};

say(`seed ${values.seed}, ${values.minutes} minutes, Node ${process.version}`);
let growing = 0;
try {
  await Promise.all([sample(), load(), trouble()]);
  say(`${created} Runs, ${ended} succeeded, ${failed} did not, ${refused} refused; ${befell} faults`);
  const half = durationMs / 2;
  say(`\nsecond half, per minute (95 % confidence)${' '.repeat(14)}from        to     slope`);
  for (const [name, samples] of [...series].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const late = floors(
      samples.filter(({ atMs }) => atMs >= half),
      BLOCK_MS,
    );
    const trend = trendOf(late);
    if (trend === undefined) continue;
    const grows = isGrowing(trend);
    growing += Number(grows);
    const number = (value: number | undefined): string => (value ?? 0).toFixed(1).padStart(9);
    say(
      `${name.padEnd(46)} ${number(late[0]?.value)} ${number(late.at(-1)?.value)} ${number(trend.slope)} [${trend.low.toFixed(2)}, ${trend.high.toFixed(2)}]${grows ? ' GROWS' : ''}`,
    );
  }
  const log = readFileSync(join(plane.dataDir, 'logs', 'controller.log'), 'utf8');
  const defects = log.split('\n').filter((line) => /defect in |"level":60/.test(line)).length;
  if (defects > 0) say(`${defects} defects in the operator's log`);
  say(`${growing} series grow`);
} finally {
  await plane.stop();
}
process.exit(growing > 0 || failed > 0 ? 1 : 0);
