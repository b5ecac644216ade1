/** `krt logs` */
import { conditionOf } from '../../model/conditions.js';
import { runs } from '../../model/resources.js';
import type { Run } from '../../model/run.js';
import { podsWithStore } from '../artifact/pods.js';
import { Failure, usage } from '../failure.js';
import { globalFlags } from '../global-flags.js';
import { countFlag, type Input, isOn, textFlag } from '../input.js';
import type { Krt, OpenCluster, Verb } from '../krt.js';
import { startedAttempts } from '../logs/attempts.js';
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
  attempt: number | undefined;
  stream: LogRequest['stream'];
}>;

/** Errors: Usage. */
export const parse = (input: Input): LogsOptions => {
  const stream = textFlag(input, 'stream') ?? '';
  if (stream !== '' && stream !== 'stdout' && stream !== 'stderr')
    throw usage(`--stream ${stream} is neither stdout nor stderr`);
  if (textFlag(input, 'output') !== undefined)
    throw usage('-o does not go with krt logs: a log is printed as it was written');
  return {
    name: oneRun(input),
    follow: isOn(input, 'follow'),
    tail: countFlag(input, 'tail', '--tail', 1) ?? 0,
    attempt: countFlag(input, 'attempt', '--attempt', 1),
    stream,
  };
};

export type LogsDeps = OpenCluster & Pick<Krt, 'terminal'>;

const noLogYet = (run: Run, { name, attempt }: LogsOptions, namespace: string): Failure => {
  const of = `run ${namespace}/${name}`;
  const attempts = startedAttempts(run).map((place) => place.attempt);
  if (attempt !== undefined && attempts.length > 0)
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

const readOnce = async (options: LogsOptions, { api, namespace, terminal }: LogsDeps): Promise<number> => {
  const { name, attempt, tail, stream } = options;
  const run = readRun(await api.get(runs, { namespace, name }), name);
  const places = startedAttempts(run);
  const place = attempt === undefined ? places.at(-1) : places.find((each) => each.attempt === attempt);
  if (!place) throw noLogYet(run, options, namespace);
  const { pod, podUid = '', log } = place;
  const request = { namespace, pod, podUid, log, runUid: run.metadata.uid, attempt: place.attempt };
  try {
    await readAttempt(
      api,
      {
        ...{ ...request, follow: false, tail, stream, ended: Promise.resolve() },
        otherPods: () => podsWithStore(api, namespace, run),
      },
      {
        line: linePrinter(terminal, false),
        note: (text) => terminal.err(`krt: log of attempt ${place.attempt}: ${text}\n`),
      },
    ).done;
    return 0;
  } catch (error) {
    const trouble = error instanceof LogError ? error.trouble : 'Lost';
    throw new Failure(
      trouble === 'NoPod' || trouble === 'NoLog' || trouble === 'NoStore'
        ? 'NotFound'
        : trouble === 'Forbidden'
          ? 'NoAccess'
          : 'Error',
      missingLog(error, place.attempt, place.pod),
      { cause: error },
    );
  }
};

const follow = async (options: LogsOptions, { api, namespace, terminal }: LogsDeps): Promise<number> => {
  const { name, attempt, tail, stream } = options;
  const seenFirst = readRun(await api.get(runs, { namespace, name }), name);
  const follower = followLogs(
    {
      toErr: false,
      fromAttempt: attempt ?? startedAttempts(seenFirst).at(-1)?.attempt ?? 1,
      toAttempt: attempt ?? Number.POSITIVE_INFINITY,
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
