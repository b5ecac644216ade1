/** Logs: bunyan records, one per line, with the field names that all programs of ours share. */
import bunyan from 'bunyan';
import * as E from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';

export type Log = bunyan;

export type LogOptions = Readonly<{
  /** The program: `operator`, `runtimed`, `krt`, ... */
  name: string;
  /** Default stdout; a program whose stdout is data says stderr. */
  to?: 'stdout' | 'stderr';
  /** trace, debug, info, warn, error or fatal. Default: `KRUNTIME_LOG_LEVEL`, else info. */
  level?: string | undefined;
  /** Instead of `to`, for tests. */
  streams?: bunyan.Stream[];
}>;

const Keyed = t.type({ key: t.string });
const WithMetadata = t.type({
  metadata: t.intersection([t.type({ name: t.string }), t.partial({ namespace: t.string })]),
});
const Failure = t.intersection([
  t.type({ kind: t.string, message: t.string }),
  t.partial({ reason: t.string, status: t.number, retryAfterMs: t.number }),
]);

/** An object, record or key → `namespace/name`, so that a slip does not dump a manifest. */
export const keyForLog = (value: unknown): string => {
  if (typeof value === 'string') return value;
  const keyed = Keyed.decode(value);
  if (E.isRight(keyed)) return keyed.right.key;
  const object = WithMetadata.decode(value);
  if (E.isLeft(object)) return '?';
  const { namespace, name } = object.right.metadata;
  return namespace === undefined ? name : `${namespace}/${name}`;
};

/** Errors by bunyan's serializer; an EffectError by its facts. */
const errorForLog = (value: unknown): unknown => {
  if (value instanceof Error) return bunyan.stdSerializers.err(value);
  const failure = Failure.decode(value);
  if (E.isLeft(failure)) return { message: String(value) };
  const { kind, message, reason, status, retryAfterMs } = failure.right;
  return { name: kind, message, reason, status, retryAfterMs };
};

/** bunyan's serializers by field. */
const serializers: bunyan.Serializers = {
  err: errorForLog,
  run: keyForLog,
  pod: keyForLog,
  runtime: keyForLog,
};

const levels: ReadonlyArray<string> = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'];
const isLevel = (level: string): level is bunyan.LogLevelString => levels.includes(level);

/** The log of a program. A level that does not exist means info, and is warned about. */
export const openLog = ({ name, to = 'stdout', level, streams }: LogOptions): Log => {
  const wanted = (level ?? process.env.KRUNTIME_LOG_LEVEL ?? '').toLowerCase() || 'info';
  const log = bunyan.createLogger({
    name,
    serializers,
    level: isLevel(wanted) ? wanted : 'info',
    ...(streams === undefined ? { stream: to === 'stderr' ? process.stderr : process.stdout } : { streams }),
  });
  if (!isLevel(wanted)) log.warn({ wanted, known: levels }, 'log level does not exist');
  return log;
};

/** The log of a part of a program: `watch.runs`, `effects`, `io.runtimed`. Cheap: nothing is copied. */
export const componentLog = (log: Log, component: string): Log => log.child({ component }, true);
