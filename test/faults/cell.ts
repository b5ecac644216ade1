/** One cell of the fault matrix: Runs brought into a situation, a fault, and what came of it. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';

import type { Resource } from '../../src/model/resource.js';
import { pods, runs } from '../../src/model/resources.js';
import { isTerminal, type Run } from '../../src/model/run.js';
import { formatMicros, type Micros } from '../../src/model/time.js';
import type { Selection } from '../../src/ports.js';
import { answer } from '../e2e/attach.js';
import { pidsWith } from '../e2e/pids.js';
import { type Fault, PARTS } from './faults.js';
import { brokenPromises, parseLines, scriptOf } from './history.js';
import { CAPACITY, type FaultyPlane, REPLICAS } from './plane.js';
import { measureProcessorWait, type ProcessorWait } from './processor-wait.js';
import { lateRedispatches } from './redispatch.js';

/** When the fault comes. */
export const SITUATIONS = ['Pending', 'Scheduled', 'Running', 'ending', 'rollout', 'scale-down'] as const;
export type Situation = (typeof SITUATIONS)[number];

/** Runs of a cell: twice what there is room for. */
const RUNS = 8;
/** Longest time from a pod's deletion to the Run being given back, and from there being room to its placement. */
const REDISPATCHED_MS = 2000;
/** Longest time from the end of the fault to the end of the last Run, milliseconds. */
const STUCK_AFTER_MS = 30_000;

export type Cell = Readonly<{
  fault: string;
  situation: Situation;
  broken: ReadonlyArray<string>;
  /** From the end of the fault to the end of the last Run; 0 if that was first. */
  afterMs: number;
  attempts: number;
  /** What became of the Run that ended last: its versions, and the restarts of the pods there are. */
  slowest: ReadonlyArray<string>;
  /** Of the operators, runtimed, Runtime Servers, kubelet and API server until the last Run had ended. */
  processor: ProcessorWait;
}>;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const isIn = (situation: Situation, { status }: Run): boolean => {
  switch (situation) {
    case 'Pending':
      return true;
    case 'Scheduled':
      return status?.phase === 'Scheduled';
    case 'ending':
      return isTerminal(status?.phase);
    default:
      return status?.phase === 'Running';
  }
};

/** What a history cannot keep that is cut off and goes on otherwise. */
const REWOUND = [
  'a phase steps where it may not',
  'an end changes',
  'the attempt decreases',
  'the attempt grows by more than one',
  'executed twice unnoticed',
  'two attempts live at one time',
  'executed, but not in the status',
];

/** Longest time from the last end until nothing of the Runs is left in the pods, milliseconds. */
const CLEAN_MS = 25_000;

/** Processes and folders of Runs that have ended. */
const leftovers = async (
  plane: FaultyPlane,
  names: ReadonlyArray<string>,
): Promise<ReadonlyArray<string>> => {
  const ended = names.flatMap((name) => {
    const last = plane.history(name).at(-1);
    return last !== undefined && isTerminal(last.status?.phase) ? [last.metadata] : [];
  });
  const left = (): ReadonlyArray<string> => {
    const folders = (() => {
      try {
        return readdirSync(join(plane.dataDir, 'pods'), { recursive: true, encoding: 'utf8' });
      } catch {
        return [];
      }
    })();
    return ended.flatMap(({ name, uid }) => [
      ...pidsWith(`KRUNTIME_RUN_UID=${uid}`, '').map((pid) => `a process is left of ${name}: ${pid}`),
      ...folders
        // Logs stay, within their bound.
        .filter((path) => basename(path).startsWith(uid) && basename(dirname(path)) !== 'logs')
        .map((path) => `a file is left of ${name}: ${path}`),
    ]);
  };
  for (const untilMs = Date.now() + CLEAN_MS; Date.now() < untilMs; await sleep(200))
    if (left().length === 0) return [];
  return left();
};

let rounds = 0;

const OF_RUNTIMES = { namespace: 'default', labelSelector: 'kruntimes.io/runtime' };

type PodObject = Readonly<{
  metadata: { name: string; deletionTimestamp?: string };
  status?: {
    conditions?: ReadonlyArray<{ type: string; status: string }>;
    containerStatuses?: ReadonlyArray<{ name: string; restartCount: number }>;
  };
}>;

/** As it is now, nothing where the API server does not answer. */
const listed = async <A>(
  plane: FaultyPlane,
  what: Resource,
  selection: Selection,
): Promise<ReadonlyArray<A>> =>
  answer(plane.kube.list(what, selection)).then(
    ({ items }) => items as ReadonlyArray<A>,
    () => [],
  );

/**
 * Waits until the API says, and our watch has heard, that all have ended; no longer than they may take. Resolves with the
 * uids of those whose making it has forgotten.
 */
const haveEnded = async (plane: FaultyPlane, names: ReadonlyArray<string>): Promise<ReadonlySet<string>> => {
  let forgotten = new Set<string>();
  for (const untilMs = Date.now() + STUCK_AFTER_MS; Date.now() < untilMs; await sleep(100)) {
    const all = await answer(plane.kube.list(runs, { namespace: 'default' })).then(
      ({ items }) => new Map((items as ReadonlyArray<Run>).map((run) => [run.metadata.name, run])),
      () => undefined,
    );
    if (all === undefined) continue;
    const isOver = (name: string): boolean => {
      const run = all.get(name);
      const known = plane.history(name).at(-1)?.metadata.resourceVersion;
      return run === undefined || (isTerminal(run.status?.phase) && known === run.metadata.resourceVersion);
    };
    const gone = names.filter((name) => !all.has(name));
    forgotten = new Set(gone.flatMap((name) => plane.history(name).at(-1)?.metadata.uid ?? []));
    if (names.every(isOver)) break;
  }
  return forgotten;
};

/** Whether there are just the pods that are wanted, ready, and none of those that are to go. */
const isSettled = async (plane: FaultyPlane, retired: ReadonlyArray<string>): Promise<boolean> => {
  const untilMs = Date.now() + STUCK_AFTER_MS;
  while (Date.now() < untilMs) {
    const all = await listed<PodObject>(plane, pods, OF_RUNTIMES);
    const isReady = ({ metadata, status }: PodObject): boolean =>
      metadata.deletionTimestamp === undefined &&
      !retired.includes(metadata.name) &&
      (status?.conditions ?? []).some((c) => c.type === 'Ready' && c.status === 'True');
    if (all.length === REPLICAS && all.every(isReady)) return true;
    await sleep(100);
  }
  return false;
};

/** Faults after which the pods are not as they were: containers that died are started again ever more slowly. */
const wearsPodsOut = ({ name }: Fault): boolean =>
  name.includes('killed') || name.startsWith('disk full') || name.startsWith('file system');

/** How much later than asked for this process was woken, at most: what a busy machine costs everybody. */
const measureLag = (): (() => number) => {
  const EVERY_MS = 20;
  let [last, worst] = [performance.now(), 0];
  const timer = setInterval(() => {
    const now = performance.now();
    worst = Math.max(worst, now - last - EVERY_MS);
    last = now;
  }, EVERY_MS);
  return () => {
    clearInterval(timer);
    return worst;
  };
};

/** A Run has the artifact that its status names, and it is of the execution that the status names. */
const brokenArtifacts = (plane: FaultyPlane, { metadata, status }: Run): ReadonlyArray<string> => {
  if (status?.phase !== 'Succeeded') return [];
  const [ref, ...more] = status.artifactRefs ?? [];
  if (ref === undefined || more.length > 0)
    return [`${metadata.name} has ${(status.artifactRefs ?? []).length} artifacts and not 1`];
  try {
    const stored = readFileSync(join(plane.artifacts, '..', ref.location), 'utf8').trim();
    return stored === status.outputs?.token ? [] : [`${metadata.name} has the artifact of another execution`];
  } catch (cause) {
    return [`${metadata.name} has an artifact that is not in the store: ${String(cause)}`];
  }
};

const storyOf = async (plane: FaultyPlane, name: string): Promise<ReadonlyArray<string>> => {
  const items = await listed<PodObject>(plane, pods, OF_RUNTIMES);
  return [
    ...plane.history(name).map(({ status: s }) => {
      const past = (s?.attemptHistory ?? []).map(({ attempt, reason }) => `${attempt} ${reason}`).join(', ');
      return `${name} ${s?.phase ?? 'Pending'} ${s?.attempt ?? 0} ${s?.assignedPod ?? ''} ${formatOf(s?.scheduledTime)} ${formatOf(s?.completionTime)} [${past}] ${s?.message ?? ''}`;
    }),
    ...items.map(
      ({ metadata, status }) =>
        `${metadata.name} restarted ${(status?.containerStatuses ?? []).map((c) => `${c.name} ${c.restartCount}`).join(', ')}`,
    ),
  ];
};

const formatOf = (at: Micros | undefined): string =>
  at === undefined ? '-' : formatMicros(at).slice(11, 23);

/** Plays it. `chance` says how long after the situation the fault comes, up to 100 ms. */
export const playCell = async (
  plane: FaultyPlane,
  fault: Fault,
  situation: Situation,
  chance: () => number,
): Promise<Cell> => {
  const side = mkdtempSync(join(tmpdir(), 'krt-side-'));
  const file = join(side, 'lines');
  rounds += 1;
  const names = Array.from({ length: RUNS }, (_, i) => `cell-${rounds}-${i}`);
  const spec = {
    source: {
      inline: scriptOf(
        file,
        situation === 'ending' || situation === 'Pending' ? 0.05 : 0.4,
        fault.withArtifact,
      ),
    },
    // A lost attempt is followed by another; a deliberate end of a Run is not among the faults.
    retryPolicy: { maxAttempts: fault.name.startsWith('disk full') ? 100 : 6, backoff: '100ms' },
  };
  const startedMs = Date.now();
  const lag = measureLag();
  const processorWait = measureProcessorWait(() => Object.values(PARTS).flatMap(plane.pidsOf));
  const listsBefore = plane.lists();
  try {
    await fault.before?.(plane);
    await Promise.all(names.map((name) => plane.create(name, spec)));
    await Promise.race(names.map((name) => plane.whenRun(name, (run) => isIn(situation, run))));
    if (situation === 'rollout')
      await plane.patchRuntime('bash', {
        spec: { template: { metadata: { annotations: { round: String(rounds) } } } },
      });
    if (situation === 'scale-down') await plane.patchRuntime('bash', { spec: { replicas: 1 } });
    await sleep(chance() * 100);
    const hitsBefore = plane.api.hits();
    await fault.apply(plane, chance);
    const overMs = Date.now();
    // An end that was seen may have been forgotten since.
    const forgotten = fault.rewinds ? await haveEnded(plane, names) : new Set<string>();
    if (!fault.rewinds)
      await Promise.all(names.map((name) => plane.end(name, STUCK_AFTER_MS).catch(() => undefined)));
    const endedMs = Date.now();
    const lagMs = lag();
    const processor = processorWait();
    const lines = (() => {
      try {
        return parseLines(readFileSync(file, 'utf8'));
      } catch {
        return [];
      }
    })();
    const versions = new Map(names.map((name) => [name, plane.history(name)]));
    await fault.after?.(plane);
    const excused = [...(fault.rewinds ? REWOUND : []), ...(fault.excuses ?? [])];
    const broken = [
      ...brokenPromises({
        versions,
        lines,
        capacity: CAPACITY,
        hasGaps: plane.lists() !== listsBefore,
        deleted: forgotten,
      }),
      ...names.flatMap((name) => {
        const { phase, message } = plane.history(name).at(-1)?.status ?? {};
        return phase === 'Succeeded' || !isTerminal(phase) ? [] : [`${name} ended as ${phase}: ${message}`];
      }),
    ].filter((what) => !excused.some((words) => what.includes(words)));
    broken.push(...(await leftovers(plane, names)));
    if (fault.withArtifact)
      for (const name of names) {
        const last = plane.history(name).at(-1);
        if (last !== undefined) broken.push(...brokenArtifacts(plane, last));
      }
    if (fault.name.startsWith('pod deleted') && situation !== 'rollout' && situation !== 'scale-down')
      broken.push(
        ...lateRedispatches(versions, plane.deletionsSince(startedMs), {
          capacity: CAPACITY,
          withinMs: REDISPATCHED_MS + lagMs,
        }),
      );
    if (fault.name.startsWith('API: ') && plane.api.hits() === hitsBefore)
      broken.push('the fault met no call: the cell says nothing');
    const attempts = names
      .map((name) => plane.history(name).at(-1)?.status?.attempt ?? 0)
      .reduce((a, b) => a + b, 0);
    const endOf = (name: string): number => plane.history(name).at(-1)?.status?.completionTime ?? Infinity;
    const slowest = await storyOf(plane, [...names].sort((a, b) => endOf(b) - endOf(a))[0] ?? '');
    // As it was, for the next one.
    const retired = wearsPodsOut(fault) ? await plane.podNames() : [];
    if (retired.length > 0)
      await plane.patchRuntime('bash', {
        spec: { template: { metadata: { annotations: { round: `after ${rounds}` } } } },
      });
    if (situation === 'scale-down') await plane.patchRuntime('bash', { spec: { replicas: REPLICAS } });
    if (!(await isSettled(plane, retired)))
      broken.push(`the Runtime is not ready ${STUCK_AFTER_MS / 1000} s later`);
    return { fault: fault.name, situation, broken, afterMs: endedMs - overMs, attempts, slowest, processor };
  } finally {
    lag();
    rmSync(side, { recursive: true, force: true });
  }
};
