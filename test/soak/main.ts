/** `npm run soak`: see USAGE; the rounds are in round.ts, what a process holds in inside.ts, which of it grows in verdict.ts. */
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { socketFolder } from '../../src/embedded/kubelet/socket-folder.js';
import { startFaultyPlane } from '../faults/plane.js';
import { formatProcessorWait, measureProcessorWait } from '../faults/processor-wait.js';
import { seeded } from '../model-check/explore.js';
import { flagsOf } from '../support/command-line.js';
import { metricsReading } from './metrics.js';
import { type Probe, probedPrograms } from './probed-programs.js';
import type { Reading } from './question.js';
import { playRound, type Round } from './round.js';
import { FEWEST } from './trend.js';
import { type Noted, notedIn, OF_SOAK, rowsOf } from './verdict.js';

const USAGE = `Usage: npm run soak -- [flags]

Rounds of load and faults, and after each, at rest, what every process holds; the rounds after the warm-up are tested
for growth. Exit code 1 where something grows, a Run did not end as it should, or a process was not there to the end.

  --minutes N        how long (default 20); longer where the machine is too busy for enough rounds
  --seed S           of load and faults (default 1)
  --plant A,B        every program holds on to one thing of each kind for each Run it had, as a proof that the soak finds
                     it: heap, buffers, native (1 KiB each), timers, subscriptions, descriptors
  --idle             after the first round no Runs, and nobody asks the control plane for anything
  --readings FILE    also every single reading, a line of JSON each
  --again FILE       plays nothing: judges the readings of that file
`;

const values = flagsOf(USAGE, {
  minutes: { type: 'string', default: '20' },
  seed: { type: 'string', default: '1' },
  plant: { type: 'string' },
  idle: { type: 'boolean', default: false },
  readings: { type: 'string' },
  again: { type: 'string' },
});
const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

const PODS = 2;
const LOAD_MS = 35_000;
const IDLE_MS = 50_000;
/** Code is compiled and caches fill for some 2,000 Runs (docs/reliability.md). */
const LEAST_WARM_UP_MS = 6 * 60_000;
const PROGRAMS = ['apiserver', 'controller', 'kubelet', 'runtimed', 'bash-runtime'];
const PROCESSES = 3 + 2 * PODS;

const COLUMNS = ['first', 'last', 'a minute', 'a Run', 'certainty'];
const TITLE = 'after the warm-up'.padEnd(34);

/** Prints the trend of each series; how many grow, or cannot be judged. */
const report = (of: ReadonlyArray<Noted>, warmUpMs: number): number => {
  const number = (value: number | undefined, digits: number): string =>
    (value?.toFixed(digits) ?? '').padStart(11);
  say(`\n${TITLE}${COLUMNS.map((title) => title.padStart(11)).join('')}`);
  const rows = rowsOf(of, { pods: PODS, warmUpMs });
  for (const { name, first, last, slope, perRun, beyond, samples, says } of rows)
    say(
      `${name.padEnd(34)}${number(first, 1)}${number(last, 1)}${number(slope, 2)}${number(perRun, 4)}${number(beyond, 1)}${
        {
          flat: '',
          grows: '  GROWS',
          'only shown': '  (not judged)',
          'too few': `  only ${samples} readings`,
        }[says]
      }`,
    );
  const bad = rows.filter(({ says }) => says === 'grows' || says === 'too few').length;
  say(`${bad} series grow`);
  return bad;
};

const warmUp = (durationMs: number): number => Math.max(durationMs / 3, LEAST_WARM_UP_MS);

if (values.again !== undefined) {
  const read = notedIn(readFileSync(values.again, 'utf8'));
  process.exit(report(read, warmUp(Math.max(...read.map(({ atMs }) => atMs)))) === 0 ? 0 : 1);
}

const random = seeded(Number(values.seed));
const durationMs = Number(values.minutes) * 60_000;
const warmUpMs = warmUp(durationMs);

const folder = mkdtempSync(join(tmpdir(), 'krt-soak-'));
const programs = await probedPrograms(folder, PROGRAMS);
const plane = await startFaultyPlane(PODS, 4, { programs: programs.folder });
const probes = await programs.first(PROCESSES);
const sockets = socketFolder(plane.dataDir);
const beganMs = Date.now();

const noted: Noted[] = [];
const note = (name: string, atMs: number, reading: Reading): void => {
  if (values.readings) appendFileSync(values.readings, `${JSON.stringify({ name, atMs, reading })}\n`);
  noted.push({ name, atMs, reading });
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
  note(OF_SOAK, atMs, { runs });
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

say(`seed ${values.seed}, ${values.minutes} minutes, Node ${process.version}${values.idle ? ', idle' : ''}`);
let isWell = true;
try {
  let [runs, faults, failures] = [0, 0, 0];
  let readings = 0;
  for (let round = 1; Date.now() - beganMs < durationMs || readings < FEWEST; round += 1) {
    const processorWait = measureProcessorWait(() => probes.map(({ pid }) => pid));
    const played =
      values.idle && round > 1 ? await idleRound() : await playRound(plane, random, `soak-${round}`, LOAD_MS);
    if (Date.now() - beganMs >= warmUpMs) readings += 1;
    await readAll(played.runs);
    runs += played.runs;
    faults += played.faults.length;
    failures += played.failures.length;
    for (const failure of played.failures) say(failure);
    const atS = Math.round((Date.now() - beganMs) / 1000);
    const busy = formatProcessorWait(processorWait());
    say(`${atS} s, round ${round}: ${played.runs} Runs; programs ${busy}; ${played.faults.join(', ')}`);
  }
  say(`${runs} Runs, ${runs - failures} succeeded and went, ${failures} did not; ${faults} faults`);
  const growing = report(noted, warmUpMs);
  const log = readFileSync(join(plane.dataDir, 'logs', 'controller.log'), 'utf8');
  const defects = log.split('\n').filter((line) => /defect in |"level":60/.test(line)).length;
  if (defects > 0) say(`${defects} defects in the operator's log`);
  for (const { program, pid } of programs.gone()) say(`${program} ${pid} was not there to the end`);
  isWell = growing + failures + defects + programs.gone().length === 0;
} finally {
  await plane.stop();
  programs.close();
  rmSync(folder, { recursive: true, force: true });
}
process.exit(isWell ? 0 : 1);
