/** The program's settings: flags first, then the environment, then defaults. */
import { parseArgs } from 'node:util';

import { type Either, isLeft, left, right } from 'fp-ts/lib/Either.js';

import { type Address, parseAddress } from '../../io/address.js';

export type Options = Readonly<{
  address: Address;
  workDir: string;
  graceMillis: number;
  headBytes: number;
  tailBytes: number;
  /** Processes one execution may have at once; 0: any number. */
  mostProcesses: number;
  /** How long one that was killed for its processes has not ended yet, milliseconds. */
  stormRestMillis: number;
  warmLeast: number;
  warmMost: number;
  warmName: string;
  logLevel: string;
}>;

export const usage = `usage: bash-runtime [options]
  --listen ADDR         host:port or unix:/path (default $KRUNTIME_LISTEN_ADDRESS, else 127.0.0.1:9091)
  --port N              the same as --listen 127.0.0.1:N
  --work-dir D          what a relative working_dir starts from (default $KRUNTIME_WORK_DIR, else /workspace)
  --grace-millis N      from SIGTERM to SIGKILL (default 2000)
  --head-bytes N        first bytes kept of each output stream (default 1048576)
  --tail-bytes N        last bytes kept of each output stream (default 1048576)
  --most-processes N    processes one execution may have at once before it is killed, 0 for any (default 512)
  --storm-rest-millis N how long one that was killed for that has not ended yet (default 10000)
  --warm-least N        shells started ahead, 0 for none (default 4)
  --warm-most N         shells started ahead at most, when as many ran at once (default 16)
  --warm-entrypoint F   the entrypoint they are started for (default script)
  --log-level L         trace, debug, info, warn, error (default info)
  --help`;

const levels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'];

const text = { type: 'string' } as const;
const flags = {
  listen: text,
  port: text,
  'work-dir': text,
  'grace-millis': text,
  'head-bytes': text,
  'tail-bytes': text,
  'most-processes': text,
  'storm-rest-millis': text,
  'warm-least': text,
  'warm-most': text,
  'warm-entrypoint': text,
  'log-level': text,
  help: { type: 'boolean' },
} as const;

type Values = ReturnType<typeof parseArgs<{ options: typeof flags }>>['values'];

const addressText = ({ listen, port }: Values, env: NodeJS.ProcessEnv): string =>
  listen ?? (port === undefined ? (env.KRUNTIME_LISTEN_ADDRESS ?? '127.0.0.1:9091') : `127.0.0.1:${port}`);

/** Reads the settings; the left side is what is wrong, or 'help'. */
export const readOptions = (argv: readonly string[], env: NodeJS.ProcessEnv): Either<string, Options> => {
  let values: Values;
  try {
    values = parseArgs({ args: [...argv], options: flags, strict: true }).values;
  } catch (error) {
    return left(error instanceof Error ? error.message : String(error));
  }
  if (values.help) return left('help');
  const address = parseAddress(addressText(values, env));
  if (isLeft(address)) return address;

  const faults: string[] = [];
  const whole = (
    flag:
      | 'grace-millis'
      | 'head-bytes'
      | 'tail-bytes'
      | 'most-processes'
      | 'storm-rest-millis'
      | 'warm-least'
      | 'warm-most',
    other: number,
    most: number,
  ): number => {
    const given = values[flag];
    if (given === undefined) return other;
    const value = /^\d{1,15}$/.test(given) ? Number(given) : Number.NaN;
    if (!(value <= most)) faults.push(`--${flag} ${given}: give a whole number from 0 to ${most}`);
    return value;
  };
  const options: Options = {
    address: address.right,
    workDir: values['work-dir'] ?? env.KRUNTIME_WORK_DIR ?? '/workspace',
    graceMillis: whole('grace-millis', 2_000, 3_600_000),
    headBytes: whole('head-bytes', 1_048_576, 2 ** 30),
    tailBytes: whole('tail-bytes', 1_048_576, 2 ** 30),
    mostProcesses: whole('most-processes', 512, 2 ** 22),
    stormRestMillis: whole('storm-rest-millis', 10_000, 3_600_000),
    warmLeast: whole('warm-least', 4, 256),
    warmMost: whole('warm-most', 16, 256),
    warmName: values['warm-entrypoint'] ?? 'script',
    logLevel: values['log-level'] ?? 'info',
  };
  if (!/^[^/\0-][^/\0]*$/.test(options.warmName)) faults.push('--warm-entrypoint: give a plain file name');
  if (!levels.includes(options.logLevel)) faults.push(`--log-level: give one of ${levels.join(', ')}`);
  return faults.length > 0 ? left(faults.join('; ')) : right(options);
};
