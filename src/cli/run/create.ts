/** `krt run` */
import { runs, runtimes } from '../../model/resources.js';
import { Failure, usage } from '../failure.js';
import { globalFlags } from '../global-flags.js';
import { formatFlag, type Input, isOn } from '../input.js';
import type { Krt, OpenCluster, Verb } from '../krt.js';
import type { Format } from '../output/format.js';
import { checkFormat, formatObject, qualifiedName } from '../output/print.js';
import { attend } from './attend.js';
import { holdInterrupts } from './interrupts.js';
import { parseOrder, type RunOrder, runManifest } from './manifest.js';

export type CreateOptions = Readonly<{
  order: RunOrder;
  format: Format;
  wait: boolean;
  follow: boolean;
}>;

/** Errors: Usage. */
export const parse = (input: Input): CreateOptions => {
  const follow = isOn(input, 'follow');
  return { order: parseOrder(input), format: formatFlag(input), follow, wait: follow || isOn(input, 'wait') };
};

export type CreateDeps = OpenCluster &
  Pick<Krt, 'terminal' | 'onInterrupt' | 'randomSuffix'> &
  Readonly<{
    /** The script that `-f` names. */
    inline: string | undefined;
  }>;

const DEFAULT_RUNTIME = 'bash';

/** The Runtime named bash, else the only one there is; without any, bash, whose Runs wait until it is there. */
const findRuntime = async ({ api, namespace }: OpenCluster): Promise<string> => {
  const { rows } = await api.table(runtimes, { namespace }).catch((error: unknown) => {
    // Whoever may create Runs need not be allowed to list Runtimes.
    if (error instanceof Failure && error.kind === 'NoAccess' && isForbidden(error)) return { rows: [] };
    throw error;
  });
  const names = rows.map(({ name }) => name);
  const [only] = names;
  if (names.includes(DEFAULT_RUNTIME) || only === undefined) return DEFAULT_RUNTIME;
  if (names.length === 1) return only;
  throw usage(
    `namespace ${namespace} has several Runtimes and none is named bash`,
    `choose one with -r: ${names.join(', ')}`,
  );
};

const isForbidden = ({ cause }: Failure): boolean =>
  typeof cause === 'object' && cause !== null && 'kind' in cause && cause.kind === 'Forbidden';

/** The script as text. Errors: Failure. */
const textOf = (bytes: Uint8Array, path: string): string => {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Failure('Error', `${path === '-' ? 'stdin' : path} is not UTF-8 text, which a script must be`, {
      hint: 'fetch binary files with --repo-url or build them into the image of the Runtime',
    });
  }
};

/** Creates the Run of an order; a generated name that is taken is generated again. */
export const createRun = async (
  order: RunOrder,
  deps: Pick<CreateDeps, 'api' | 'namespace' | 'randomSuffix' | 'inline'>,
): Promise<unknown> => {
  const { api, namespace, randomSuffix, inline } = deps;
  const runtime = order.runtime ?? (await findRuntime(deps));
  const tryName = async (triesLeft: number): Promise<unknown> => {
    const name = order.name ?? `run-${randomSuffix()}`;
    try {
      return await api.create(runs, namespace, runManifest(order, { namespace, runtime, name, inline }), {
        fieldValidation: 'Strict',
        fieldManager: 'krt',
      });
    } catch (error) {
      const taken =
        error instanceof Failure &&
        typeof error.cause === 'object' &&
        error.cause !== null &&
        'kind' in error.cause &&
        error.cause.kind === 'AlreadyExists';
      if (!taken || order.name !== undefined || triesLeft === 0) throw error;
      return tryName(triesLeft - 1);
    }
  };
  return tryName(3);
};

/** Says that the Run is there, and attends it if wanted. */
const announce = async (
  created: unknown,
  { format, wait, follow }: Pick<CreateOptions, 'format' | 'wait' | 'follow'>,
  deps: OpenCluster & Pick<Krt, 'terminal' | 'onInterrupt'>,
): Promise<number> => {
  const { terminal } = deps;
  const name = qualifiedName(created);
  if (!wait) {
    terminal.out(format.kind === 'table' ? `${name} created\n` : await formatObject(format, created));
    return 0;
  }
  terminal.err(`${name} created\n`);
  const follower = follow
    ? await import('../logs/follow.js').then(({ ALL, followLogs }) =>
        followLogs({ ...ALL, toErr: format.kind !== 'table' }, deps),
      )
    : undefined;
  return attend(name.slice(name.indexOf('/') + 1), format, { ...deps, follower });
};

/** Creates a Run, says so, and attends it if wanted; Ctrl-C counts from the start. */
export const createAndAttend = async (
  createIt: () => Promise<unknown>,
  options: Pick<CreateOptions, 'format' | 'wait' | 'follow'>,
  deps: OpenCluster & Pick<Krt, 'terminal' | 'onInterrupt'>,
): Promise<number> => {
  if (!options.wait) return announce(await createIt(), options, deps);
  const { impatient, onInterrupt } = holdInterrupts(deps.onInterrupt);
  return announce(await Promise.race([createIt(), impatient]), options, { ...deps, onInterrupt });
};

export const execute = (options: CreateOptions, deps: CreateDeps): Promise<number> =>
  createAndAttend(() => createRun(options.order, deps), options, deps);

export const create: Verb = async (input, krt) => {
  const options = parse(input);
  const { file } = options.order;
  await checkFormat(options.format);
  const inline = file === undefined ? undefined : textOf(await krt.readSource(file), file);
  return execute(options, { ...krt, ...(await krt.openCluster(globalFlags(input))), inline });
};
