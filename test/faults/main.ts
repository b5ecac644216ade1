/** `npm run test:faults`: see USAGE. */
import { cpSync, lstatSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import * as E from 'fp-ts/lib/Either.js';

import { apiLevelPrograms, findBinaries } from '../cluster/binaries.js';
import { seeded } from '../model-check/explore.js';
import { flagsOf } from '../support/command-line.js';
import { type Cell, playCell, SITUATIONS, type Situation } from './cell.js';
import { CLOCK_FAULTS } from './clock-faults.js';
import { EDIT_FAULTS, LEASE_FAULTS } from './edit-faults.js';
import {
  ETCD_FAULTS,
  FAULTS,
  type Fault,
  LONG_FAULTS,
  ON_CLUSTERS,
  STANDBY_FAULTS,
  STORAGE_FAULTS,
} from './faults.js';
import { FILE_FAULTS, READ_ONLY_FAULTS } from './file-faults.js';
import { MACHINE_FAULTS } from './machine-faults.js';
import { MESSAGE_FAULTS } from './message-faults.js';
import {
  CAPACITY,
  type FaultyPlane,
  type FaultyPlaneOptions,
  REPLICAS,
  startFaultyClusterPlane,
  startFaultyPlane,
} from './plane.js';
import { formatProcessorWait } from './processor-wait.js';
import { STORE_FAULTS } from './store-faults.js';

const USAGE = `Usage: npm run test:faults -- [flags]

Every fault in every situation of a Run, on control planes of real processes, one for each group of faults. A table at
the end; exit code 1 where a promise was broken.

  --seed S           of what is drawn (default 1)
  --group A,B        of parts, etcd, storage, messages, edits, store, files, read-only, machine, clocks, standby, and with --long pauses
  --situation A,B    of Pending, Scheduled, Running, ending, rollout, scale-down; the beginning of a name is enough
  --only TEXT        faults whose name holds this
  --long             also pauses of 20 s and 60 s, the latter with Runs Running
  --api real         on kube-apiserver, where npm run test:cluster has its programs; without --only and --group a
                     selection of the faults
  --logs FOLDER      keeps the logs of all programs up to the end of each broken cell there
`;

const values = flagsOf(USAGE, {
  seed: { type: 'string', default: '1' },
  only: { type: 'string', default: '' },
  group: { type: 'string', default: '' },
  situation: { type: 'string', default: '' },
  long: { type: 'boolean', default: false },
  api: { type: 'string', default: 'embedded' },
  logs: { type: 'string' },
});
if (values.api !== 'embedded' && values.api !== 'real') throw new Error('--api is embedded or real');
const isReal = values.api === 'real';
const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

/** A cell that takes longer tells its story, milliseconds. */
const SLOW_MS = 8000;

const random = seeded(Number(values.seed));
const asked = (all: ReadonlyArray<Fault>): ReadonlyArray<Fault> =>
  all.filter(({ name }) =>
    isReal && values.only === '' && values.group === ''
      ? ON_CLUSTERS.includes(name)
      : name.includes(values.only),
  );
/** Faults that share a control plane, and what it has to have. */
const GROUPS: Readonly<Record<string, Readonly<{ faults: ReadonlyArray<Fault>; on: FaultyPlaneOptions }>>> = {
  parts: { faults: FAULTS, on: {} },
  etcd: { faults: ETCD_FAULTS, on: {} },
  storage: { faults: STORAGE_FAULTS, on: { withDisks: true } },
  messages: { faults: MESSAGE_FAULTS, on: {} },
  edits: { faults: EDIT_FAULTS, on: {} },
  store: { faults: STORE_FAULTS, on: {} },
  files: { faults: FILE_FAULTS, on: {} },
  'read-only': { faults: READ_ONLY_FAULTS, on: { withFailingDisks: true } },
  machine: { faults: MACHINE_FAULTS, on: {} },
  clocks: { faults: CLOCK_FAULTS, on: { withClocks: true } },
  standby: { faults: [...STANDBY_FAULTS, ...LEASE_FAULTS], on: { operators: 2 } },
  ...(values.long ? { pauses: { faults: LONG_FAULTS, on: {} } } : {}),
};
const wantedGroups = values.group === '' ? Object.keys(GROUPS) : values.group.split(',');
const strange = wantedGroups.filter((name) => GROUPS[name] === undefined);
if (strange.length > 0)
  throw new Error(`--group is of ${Object.keys(GROUPS).join(', ')}, and not ${strange.join(', ')}`);
const groups = wantedGroups.flatMap((name) => GROUPS[name] ?? []);
const faults = groups.flatMap((group) => asked(group.faults));
const situations = SITUATIONS.filter((name) =>
  values.situation.split(',').some((wanted) => name.startsWith(wanted)),
);
say(`seed ${values.seed}, ${faults.length} faults, ${situations.length} situations`);

/** Links to the programs of a cluster; undefined for the embedded one. */
const linksToPrograms = async (): Promise<string> => {
  const binaries = await findBinaries(apiLevelPrograms, new AbortController().signal);
  if (E.isLeft(binaries)) {
    say(`skipped: the faults on kube-apiserver: ${binaries.left}`);
    process.exit(0);
  }
  const folder = mkdtempSync(join(tmpdir(), 'krt-programs-'));
  for (const [name, path] of binaries.right) symlinkSync(path, join(folder, name));
  return folder;
};
const clusterPrograms = isReal ? await linksToPrograms() : undefined;

/** Nothing that only a process can answer for. */
const isPlain = (path: string): boolean => {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  return stat?.isFile() === true || stat?.isDirectory() === true;
};

const cells: Cell[] = [];
/** A cell that could not be played to its end is broken, too. */
const played = async (plane: FaultyPlane, fault: Fault, situation: Situation): Promise<Cell> => {
  try {
    return await playCell(plane, fault, situation, random);
  } catch (cause) {
    return {
      fault: fault.name,
      situation,
      broken: [String(cause)],
      afterMs: 0,
      attempts: 0,
      slowest: [],
      processor: { hadMs: 0, waitedMs: 0 },
    };
  }
};
const play = async (some: ReadonlyArray<Fault>, options: FaultyPlaneOptions): Promise<void> => {
  if (some.length === 0) return;
  const start = (): Promise<FaultyPlane> =>
    clusterPrograms === undefined
      ? startFaultyPlane(REPLICAS, CAPACITY, options)
      : startFaultyClusterPlane(clusterPrograms, REPLICAS, CAPACITY, options);
  let plane = await start();
  try {
    for (const fault of some) {
      const lacks = fault.lacks?.(plane);
      if (lacks !== undefined) {
        say(`${fault.name.padEnd(45)} skipped: ${lacks}`);
        continue;
      }
      for (const situation of situations) {
        if (fault.name.endsWith('paused 60 s') && situation !== 'Running') continue;
        const cell = await played(plane, fault, situation);
        cells.push(cell);
        say(
          `${fault.name.padEnd(45)} ${situation.padEnd(11)} ${cell.broken.length === 0 ? 'ok' : 'BROKEN'} ${cell.afterMs} ms, ${cell.attempts} attempts`,
        );
        for (const what of cell.broken) say(`    ${what}`);
        if (cell.broken.length > 0 || cell.afterMs > SLOW_MS) {
          for (const line of cell.slowest) say(`      ${line}`);
          say(`      its programs ${formatProcessorWait(cell.processor)}`);
        }
        if (cell.broken.length === 0) continue;
        if (values.logs !== undefined) {
          const kept = join(values.logs, `${fault.name} ${situation}`.replaceAll(/[^A-Za-z0-9]+/g, '-'));
          cpSync(plane.logs, kept, { recursive: true, filter: isPlain });
          say(`      logs: ${kept}`);
        }
        // What is stuck would spoil the cells that follow.
        await plane.stop();
        plane = await start();
      }
    }
  } finally {
    await plane.stop();
  }
};
for (const group of groups) await play(asked(group.faults), group.on);
if (clusterPrograms !== undefined) rmSync(clusterPrograms, { recursive: true });

say(
  `\n${'seconds from the fault’s end to the last Run’s'.padEnd(45)} ${situations.map((s) => s.padStart(10)).join(' ')}`,
);
for (const { name } of faults) {
  const row = situations.map((situation) => {
    const cell = cells.find((c) => c.fault === name && c.situation === situation);
    const text = cell === undefined ? '-' : (cell.afterMs / 1000).toFixed(1);
    return `${text}${cell && cell.broken.length > 0 ? '!' : ''}`.padStart(10);
  });
  say(`${name.padEnd(45)} ${row.join(' ')}`);
}
const broken = cells.filter((cell) => cell.broken.length > 0).length;
say(`${cells.length} cells, ${broken} broken`);
process.exit(broken > 0 ? 1 : 0);
