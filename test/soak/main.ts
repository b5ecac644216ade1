/** `npm run soak`: see USAGE; the rounds are in round.ts, what a process holds in inside.ts, the test for growth in trend.ts. */
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { socketFolder } from '../../src/embedded/kubelet/socket-folder.js';
import { startFaultyPlane } from '../faults/plane.js';
import { seeded } from '../model-check/explore.js';
import { flagsOf } from '../support/command-line.js';
import { metricsReading } from './metrics.js';
import { type Probe, probedPrograms } from './probed-programs.js';
import type { Reading } from './question.js';
import { playRound, type Round } from './round.js';
import { FEWEST, isRising, type Sample, trendOf } from './trend.js';

const USAGE = `Usage: npm run soak -- [flags]

Rounds of load and faults, and after each, at rest, what every process holds; the rounds after the warm-up are tested
for growth. Exit code 1 where something grows, a Run did not end as it should, or a process was not there to the end.

  --minutes N        how long (default 20); longer where the machine is too busy for enough rounds
  --seed S           of load and faults (default 1)
  --plant A,B        every program holds on to one thing of each kind for each Run it had, as a proof that the soak finds
                     it: heap, buffers (1 KiB each), timers, subscriptions, descriptors
  --idle             after the first round no Runs, and nobody asks the control plane for anything
  --readings FILE    also every single reading, a line of JSON each
`;

const values = flagsOf(USAGE, {
  minutes: { type: 'string', default: '20' },
  seed: { type: 'string', default: '1' },
  plant: { type: 'string' },
  idle: { type: 'boolean', default: false },
  readings: { type: 'string' },
});
const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

const PODS = 2;
const LOAD_MS = 35_000;
const IDLE_MS = 50_000;
/** Code is compiled and caches fill for some 2,000 Runs (docs/reliability.md). */
const LEAST_WARM_UP_MS = 6 * 60_000;
/** An idle process may grow by what so many Runs a minute would excuse. */
const IDLE_RUNS = 40;
const PROGRAMS = ['apiserver', 'controller', 'kubelet', 'runtimed', 'bash-runtime'];
const PROCESSES = 3 + 2 * PODS;

const random = seeded(Number(values.seed));
const durationMs = Number(values.minutes) * 60_000;
const warmUpMs = Math.max(durationMs / 3, LEAST_WARM_UP_MS);

const folder = mkdtempSync(join(tmpdir(), 'krt-soak-'));
const programs = await probedPrograms(folder, PROGRAMS);
const plane = await startFaultyPlane(PODS, 4, { programs: programs.folder });
const probes = await programs.first(PROCESSES);
const sockets = socketFolder(plane.dataDir);
const beganMs = Date.now();

const series = new Map<string, Sample[]>();
const note = (name: string, atMs: number, reading: Reading): void => {
  if (values.readings) appendFileSync(values.readings, `${JSON.stringify({ name, atMs, ...reading })}\n`);
  for (const [what, value] of Object.entries(reading)) {
    const key = `${name}: ${what}`;
    const samples = series.get(key) ?? [];
    series.set(key, samples);
    samples.push({ atMs, value });
  }
};

/** Of several processes of a program each has a number. */
const nameOf = ({ program, pid }: Probe): string => {
  const alike = probes.filter((probe) => probe.program === program);
  return alike.length > 1 ? `${program} ${alike.findIndex((probe) => probe.pid === pid) + 1}` : program;
};

const kinds = values.plant?.split(',') ?? [];
const planted = (program: string, runs: number) => ({
  plants: kinds.map((kind) => ({
    kind,
    count: program === 'runtimed' || program === 'bash-runtime' ? Math.round(runs / PODS) : runs,
  })),
});

const readAll = async (runs: number): Promise<void> => {
  const atMs = Date.now() - beganMs;
  for (const probe of probes)
    note(nameOf(probe), atMs, await probe.ask({ isCollected: true, ...planted(probe.program, runs) }));
  note('controller', atMs, await metricsReading(join(sockets, 'controller-metrics.sock')));
  const pods = readdirSync(sockets, { recursive: true })
    .map(String)
    .filter((path) => path.endsWith('9090.sock'))
    .sort();
  for (const [i, path] of pods.entries())
    note(`pod ${i + 1}`, atMs, await metricsReading(join(sockets, path)));
};

const idleRound = async (): Promise<Round> => {
  await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
  return { runs: 0, failures: [], faults: [] };
};

/**
 * Growth that is certain is no leak yet where it is less than this for each Run that the process had: V8 keeps feedback of
 * what it has run often, and runtimed the names of its last 8,192 assignments, 93 bytes each. Measured by heap snapshots
 * over 20,000 Runs (docs/reliability.md).
 */
const IMMATERIAL_KIB = 0.25;

const isOfPods = (name: string): boolean => /^(runtimed|bash-runtime)/.test(name);

const number = (value: number | undefined, digits: number): string =>
  (value ?? 0).toFixed(digits).padStart(11);
const TITLE = 'after the warm-up'.padEnd(30);

/** Prints the trend of each series; how many grow. */
const report = (runsPerMinute: number): number => {
  say(`\n${TITLE}${['first', 'last', 'a minute', 'a Run', 'certainty'].map((t) => t.padStart(11)).join('')}`);
  let growing = 0;
  for (const [name, samples] of [...series].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const late = samples.filter(({ atMs }) => atMs >= warmUpMs);
    const trend = trendOf(late);
    if (trend === undefined) {
      say(`${name.padEnd(30)} only ${late.length} readings after the warm-up: give it more minutes`);
      growing += 1;
      continue;
    }
    const perMinute = isOfPods(name) ? runsPerMinute / PODS : runsPerMinute;
    const least = name.endsWith('KiB') ? IMMATERIAL_KIB * Math.max(perMinute, IDLE_RUNS) : 0;
    const grows = isRising(trend) && trend.slope >= least;
    growing += Number(grows);
    const each = perMinute > 0 ? number(trend.slope / perMinute, 4) : ''.padStart(11);
    const [first, last] = [late[0]?.value, late.at(-1)?.value];
    say(
      `${name.padEnd(30)}${number(first, 1)}${number(last, 1)}${number(trend.slope, 2)}${each}${number(trend.score, 1)}${grows ? '  GROWS' : ''}`,
    );
  }
  return growing;
};

say(`seed ${values.seed}, ${values.minutes} minutes, Node ${process.version}${values.idle ? ', idle' : ''}`);
let isWell = true;
try {
  let [runs, faults, failures] = [0, 0, 0];
  let readings = 0;
  for (let round = 1; Date.now() - beganMs < durationMs || readings < FEWEST; round += 1) {
    const played =
      values.idle && round > 1 ? await idleRound() : await playRound(plane, random, `soak-${round}`, LOAD_MS);
    if (Date.now() - beganMs >= warmUpMs) readings += 1;
    await readAll(played.runs);
    runs += played.runs;
    faults += played.faults.length;
    failures += played.failures.length;
    for (const failure of played.failures) say(failure);
    const atS = Math.round((Date.now() - beganMs) / 1000);
    say(`${atS} s, round ${round}: ${played.runs} Runs; ${played.faults.join(', ')}`);
  }
  const minutes = (Date.now() - beganMs) / 60_000;
  say(`${runs} Runs, ${runs - failures} succeeded and went, ${failures} did not; ${faults} faults`);
  const growing = report(values.idle ? 0 : runs / minutes);
  const log = readFileSync(join(plane.dataDir, 'logs', 'controller.log'), 'utf8');
  const defects = log.split('\n').filter((line) => /defect in |"level":60/.test(line)).length;
  if (defects > 0) say(`${defects} defects in the operator's log`);
  for (const { program, pid } of programs.gone()) say(`${program} ${pid} was not there to the end`);
  say(`${growing} series grow`);
  isWell = growing + failures + defects + programs.gone().length === 0;
} finally {
  await plane.stop();
  programs.close();
  rmSync(folder, { recursive: true, force: true });
}
process.exit(isWell ? 0 : 1);
