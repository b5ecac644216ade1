/** `krt logs` */
import { conditionOf } from '../../model/conditions.js';
import { runs } from '../../model/resources.js';
import type { Run } from '../../model/run.js';
import { podsWithStore } from '../artifact/pods.js';
import { Failure, usage } from '../failure.js';
import { globalFlags } from '../global-flags.js';
import { countFlag, type Input, isOn, textFlag } from '../input.js';
import type { Krt, OpenCluster, Verb } from '../krt.js';
import { type AttemptPlace, startedAttempts } from '../logs/attempts.js';
import { followLogs } from '../logs/follow.js';
import { LogError, type LogRequest } from '../logs/log-read.js';
import { linePrinter } from '../logs/print-line.js';
import { missingLog, readAttempt } from '../logs/read-attempt.js';
import { oneRun } from './one-run.js';
import { endOf, phaseOf, readRun } from './read-run.js';
import { untilEnded } from './until-ended.js';

export type LogsOptions = Readonly<{
  name: string;
  follow: boolean;
  /** 0: all. */
  tail: number;
  /** Undefined: the last one, and those that follow it. */
  attempt: number | 'all' | undefined;
  timestamps: boolean;
  stream: LogRequest['stream'];
}>;

/** Errors: Usage. */
export const parse = (input: Input): LogsOptions => {
  const stream = textFlag(input, 'stream') ?? '';
  if (stream !== '' && stream !== 'stdout' && stream !== 'stderr')
    throw usage(`--stream ${stream} is neither stdout nor stderr`);
  if (textFlag(input, 'output') !== undefined)
    throw usage('-o does not go with krt logs: a log is printed as it was written');
  const tail = countFlag(input, 'tail', '--tail', 1) ?? 0;
  const isAll = textFlag(input, 'attempt') === 'all';
  if (isAll && tail > 0) throw usage('--tail does not go with --attempt all: name one attempt');
  return {
    name: oneRun(input),
    follow: isOn(input, 'follow'),
    tail,
    attempt: isAll ? 'all' : countFlag(input, 'attempt', '--attempt', 1),
    timestamps: isOn(input, 'timestamps'),
    stream,
  };
};

export type LogsDeps = OpenCluster & Pick<Krt, 'terminal'>;

const noLogYet = (run: Run, { name, attempt }: LogsOptions, namespace: string): Failure => {
  const of = `run ${namespace}/${name}`;
  const attempts = startedAttempts(run).map((place) => place.attempt);
  if (typeof attempt === 'number' && attempts.length > 0)
    return new Failure('NotFound', `${of} has no attempt ${attempt} with a log`, {
      hint: `there is ${attempts.join(', ')}`,
    });
  const why = conditionOf(run.status?.conditions, 'Scheduled');
  return new Failure(
    'NotFound',
    `${of} has no log: ${endOf(run) ? `it ended ${phaseOf(run)} without having started` : `it is ${phaseOf(run)}${why?.status === 'False' && why.message ? ` (${why.message})` : ''}`}`,
    { hint: endOf(run) ? undefined : `krt logs -f ${name} waits for it` },
  );
};

/** The attempts that are asked for. */
const wantedPlaces = (run: Run, { attempt }: LogsOptions): ReadonlyArray<AttemptPlace> => {
  const places = startedAttempts(run);
  if (attempt === 'all') return places;
  return attempt === undefined ? places.slice(-1) : places.filter((place) => place.attempt === attempt);
};

/** Prints the log of one attempt. Errors: why it cannot be had. */
const readPlace = async (
  run: Run,
  { attempt, pod, podUid = '', log }: AttemptPlace,
  { tail, stream, timestamps }: LogsOptions,
  { api, namespace, terminal }: LogsDeps,
): Promise<void> => {
  const request = { namespace, pod, podUid, log, runUid: run.metadata.uid, attempt };
  try {
    await readAttempt(
      api,
      {
        ...{ ...request, follow: false, tail, stream, ended: Promise.resolve() },
        otherPods: () => podsWithStore(api, namespace, run),
      },
      {
        line: linePrinter(terminal, { toErr: false, timestamps }),
        note: (text) => terminal.err(`krt: log of attempt ${attempt}: ${text}\n`),
      },
    ).done;
  } catch (error) {
    const trouble = error instanceof LogError ? error.trouble : 'Lost';
    throw new Failure(
      trouble === 'NoPod' || trouble === 'NoLog' || trouble === 'NoStore'
        ? 'NotFound'
        : trouble === 'Forbidden'
          ? 'NoAccess'
          : 'Error',
      missingLog(error, attempt, pod),
      { cause: error },
    );
  }
};

/** A log that cannot be had does not keep the others back; the last of them that fails is the call's failure. */
const readOnce = async (options: LogsOptions, deps: LogsDeps): Promise<number> => {
  const { api, namespace, terminal } = deps;
  const run = readRun(await api.get(runs, { namespace, name: options.name }), options.name);
  const places = wantedPlaces(run, options);
  if (places.length === 0) throw noLogYet(run, options, namespace);
  let failure: Failure | undefined;
  for (const place of places) {
    if (failure) terminal.err(`krt: ${failure.message}\n`);
    failure = undefined;
    await readPlace(run, place, options, deps).catch((error: unknown) => {
      if (!(error instanceof Failure)) throw error;
      failure = error;
    });
  }
  if (failure) throw failure;
  return 0;
};

const follow = async (options: LogsOptions, { api, namespace, terminal }: LogsDeps): Promise<number> => {
  const { name, attempt, tail, stream, timestamps } = options;
  const seenFirst = readRun(await api.get(runs, { namespace, name }), name);
  const follower = followLogs(
    {
      toErr: false,
      fromAttempt: attempt === 'all' ? 1 : (attempt ?? startedAttempts(seenFirst).at(-1)?.attempt ?? 1),
      toAttempt: typeof attempt === 'number' ? attempt : Number.POSITIVE_INFINITY,
      timestamps,
      tail,
      stream,
    },
    { api, namespace, terminal },
  );
  const { ended } = untilEnded([name], { api, namespace }, { seen: follower.seen, lost: () => undefined });
  const [last] = await ended;
  await follower.drained();
  if (last && startedAttempts(last.run).length === 0) throw noLogYet(last.run, options, namespace);
  return 0;
};

export const execute = (options: LogsOptions, deps: LogsDeps): Promise<number> =>
  options.follow ? follow(options, deps) : readOnce(options, deps);

export const logs: Verb = async (input, krt) => {
  const options = parse(input);
  return execute(options, { ...(await krt.openCluster(globalFlags(input))), terminal: krt.terminal });
};
