/**
 * `npm run bench -- [SCENARIO...]`: measures, prints a table, writes all values as JSON. See docs/performance.md.
 *
 * Exit code 1 when a scenario had errors or a target was missed and --strict was given; a missed target alone is a
 * figure, not a fault.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

import { describeMachine } from './machine.js';
import { embeddedPlane, givenPlane, type Plane } from './plane.js';
import { stopwatch } from './processor-time.js';
import { profiledPrograms, switchProfiles } from './profiled.js';
import { tableOf } from './report.js';
import { type Bench, type Figures, isMet, type Scenario } from './scenario.js';
import { burst, slotUse } from './scenarios/burst.js';
import { cancelMany, cancelOne } from './scenarios/cancellation.js';
import { core } from './scenarios/core.js';
import { failOver } from './scenarios/fail-over.js';
import { fleetOfPods } from './scenarios/fleet.js';
import { gitSourcesRun } from './scenarios/git.js';
import { idle } from './scenarios/idle.js';
import { krtStart } from './scenarios/krt.js';
import { memoryHeld } from './scenarios/memory.js';
import { oneRun, oneRunOpen } from './scenarios/one-run.js';
import { backlog, retained } from './scenarios/retained.js';
import { throughput } from './scenarios/throughput.js';

const scenarios: ReadonlyArray<Scenario> = [
  oneRun,
  oneRunOpen,
  burst,
  slotUse,
  throughput,
  cancelOne,
  cancelMany,
  krtStart,
  gitSourcesRun,
  backlog,
  retained,
  fleetOfPods,
  memoryHeld,
  failOver,
  core,
  idle,
];

const USAGE = `Usage: npm run bench -- [SCENARIO...] [flags]

Scenarios (all of them unless named):
${scenarios.map(({ name, question }) => `  ${name.padEnd(8)} ${question}`).join('\n')}

  --kubeconfig FILE   another control plane than one of its own; its Runs must reach pods
  --namespace NAME    where the Runs go (default: default)
  --image NAME        of the Bash Runtime Server there (default: kruntimes-bash-runtime:latest)
  --folder DIR        below which its own control plane keeps its data: the disk that is measured
  --set NAME=NUMBER   a parameter of the scenarios, such as runs, rounds, rate, at-a-time, creators, slots, warm-up
  --out FILE          the JSON (default: bench-results/<time>.json)
  --programs DIR      bundles of another build than dist/, to compare two
  --profile DIR       CPU profiles of the programs, taken while processor time is measured, go there
  --keep              leave the data folder
  --strict            a missed target is an error
`;

const { values: flags, positionals: named } = parseArgs({
  allowPositionals: true,
  options: {
    kubeconfig: { type: 'string' },
    namespace: { type: 'string', default: 'default' },
    image: { type: 'string', default: 'kruntimes-bash-runtime:latest' },
    folder: { type: 'string' },
    set: { type: 'string', multiple: true, default: [] },
    out: { type: 'string' },
    programs: { type: 'string' },
    profile: { type: 'string' },
    keep: { type: 'boolean', default: false },
    strict: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

const fail = (message: string): never => {
  process.stderr.write(`bench: ${message}\n\n${USAGE}`);
  process.exit(2);
};

if (flags.help) {
  process.stdout.write(USAGE);
  process.exit(0);
}

const wanted =
  named.length === 0
    ? scenarios
    : named.map(
        (name) =>
          scenarios.find((scenario) => scenario.name === name) ?? fail(`no scenario is named ${name}`),
      );

const settings = new Map(
  flags.set.map((text) => {
    const [name = '', value = ''] = text.split('=');
    return value !== '' && Number.isFinite(Number(value))
      ? ([name, Number(value)] as const)
      : fail(`--set ${text}: a name and a number, such as runs=200`);
  }),
);

const say = (what: string): void => {
  process.stderr.write(`… ${what}\n`);
};

const profiledFolder =
  flags.profile === undefined ? undefined : mkdtempSync(join(tmpdir(), 'krt-bench-profiled-'));
const programs =
  profiledFolder === undefined || flags.profile === undefined
    ? flags.programs && resolve(flags.programs)
    : profiledPrograms(profiledFolder, resolve(flags.profile));

say('the control plane starts');
const plane: Plane =
  flags.kubeconfig === undefined
    ? await embeddedPlane({
        keep: flags.keep,
        ...(flags.folder === undefined ? {} : { folder: resolve(flags.folder) }),
        ...(programs === undefined ? {} : { programs }),
      })
    : await givenPlane(flags.kubeconfig, flags.namespace, flags.image);

const folder = mkdtempSync(join(plane.disk, '..', 'krt-bench-files-'));
const time = new Date().toISOString();
const out = resolve(flags.out ?? `bench-results/${time.replaceAll(':', '-').slice(0, 19)}.json`);
const machine = describeMachine(plane.disk);
const readTimes = stopwatch(plane.dataDir);
const results: Record<string, Figures> = {};
let isBad = false;

process.stdout.write(
  `${Object.entries(machine)
    .map(([fact, value]) => `${fact}: ${value}`)
    .join(' · ')}\n`,
);
/** A scenario that can not go on is an error of its own; the others are measured all the same. */
const measured = async (measure: Scenario['measure'], bench: Bench): Promise<Figures> => {
  try {
    return await measure(bench);
  } catch (error) {
    return { parameters: {}, rows: [], targets: [], errors: [`given up: ${String(error)}`], raw: {} };
  }
};

try {
  for (const { name, question, measure } of wanted) {
    say(`${name}: ${question}`);
    const figures = await measured(measure, {
      plane: async () => plane,
      stopwatch: () => {
        const times = readTimes();
        if (profiledFolder !== undefined && plane.dataDir !== undefined) switchProfiles(plane.dataDir);
        return times;
      },
      folder,
      parameter: (parameter, byDefault) =>
        settings.get(`${name}.${parameter}`) ?? settings.get(parameter) ?? byDefault,
      say,
    });
    results[name] = figures;
    isBad ||= figures.errors.length > 0 || (flags.strict && !figures.targets.every(isMet));
    process.stdout.write(`${tableOf(name, question, figures)}\n`);
  }
} finally {
  mkdirSync(dirname(out), { recursive: true });
  writeFileSync(
    out,
    `${JSON.stringify({ time, command: process.argv.slice(2), machine, plane: plane.kind, results })}\n`,
  );
  await plane.stop();
  rmSync(folder, { recursive: true, force: true });
  if (profiledFolder !== undefined) rmSync(profiledFolder, { recursive: true, force: true });
}
process.stdout.write(`\nall values: ${out}\n`);
process.exit(isBad ? 1 : 0);
