/** `krt up` */
import bunyan from 'bunyan';

import {
  ControlPlaneError,
  type ControlPlaneOptions,
  type DetachOptions,
  defaultDataDir,
  detachControlPlane,
  splitImageFlag,
  startControlPlane,
} from '../../embedded/control-plane/index.js';
import { Failure, usage } from '../failure.js';
import { countFlag, type Input, isOn, listFlag, objectFormatFlag } from '../input.js';
import type { Krt, Verb } from '../krt.js';
import type { Format } from '../output/format.js';
import { checkFormat, formatObject } from '../output/print.js';
import { dataDirFlag, dataDirHint } from './data-dir.js';

export type UpOptions = Readonly<{
  dataDir: string;
  port: number | undefined;
  images: Readonly<Record<string, string>>;
  withRuntimes: boolean;
  detach: boolean;
  format: Format;
}>;

const imagesOf = (input: Input): Readonly<Record<string, string>> => {
  try {
    return Object.fromEntries(listFlag(input, 'image').map(splitImageFlag));
  } catch (error) {
    throw usage(error instanceof Error ? error.message : String(error));
  }
};

/** Errors: Usage. */
export const parse = (input: Input): UpOptions => {
  const port = countFlag(input, 'port', '--port');
  if (port !== undefined && port > 65_535) throw usage(`--port ${port} is no port`, 'ports go up to 65535');
  return {
    dataDir: dataDirFlag(input),
    port,
    images: imagesOf(input),
    withRuntimes: input.flags.runtimes !== false,
    detach: isOn(input, 'detach'),
    format: objectFormatFlag(input),
  };
};

/** The two ways to start, and the world. */
export type UpDeps = Pick<Krt, 'terminal' | 'onInterrupt'> &
  Readonly<{ start: typeof startControlPlane; detach: typeof detachControlPlane }>;

const howToReach = (dataDir: string, kubeconfig: string): string =>
  dataDir === defaultDataDir()
    ? `krt finds it by itself; for kubectl: export KUBECONFIG=${kubeconfig}\n`
    : `for krt and kubectl: export KUBECONFIG=${kubeconfig}\n`;

const asFailure = (error: unknown): never => {
  if (error instanceof ControlPlaneError) throw new Failure('Error', error.message, { cause: error });
  throw error;
};

/** In the foreground it ends when the control plane does: by Ctrl-C, SIGTERM or `krt down`. */
export const execute = async (
  { format, detach: inBackground, port, ...rest }: UpOptions,
  { terminal, onInterrupt, start, detach }: UpDeps,
): Promise<number> => {
  const options: DetachOptions = { ...rest, ...(port === undefined ? {} : { port }) };
  const { dataDir } = options;
  const tell = async (what: Readonly<Record<string, unknown>>, kubeconfig: string): Promise<void> => {
    if (format.kind === 'table')
      terminal.out(`control plane running on ${dataDir}\n${howToReach(dataDir, kubeconfig)}`);
    else terminal.out(await formatObject(format, { ...what, dataDir, kubeconfig }));
  };
  if (inBackground) {
    const { pid, kubeconfig, logFile } = await detach(options).catch(asFailure);
    await tell({ pid, logFile }, kubeconfig);
    if (format.kind === 'table') terminal.out(`stop it with: krt down${dataDirHint(dataDir)}\n`);
    return 0;
  }
  let leave = false;
  let stop: () => Promise<void> = async () => undefined;
  const off = onInterrupt(() => {
    if (!leave) terminal.err('stopping the control plane\n');
    leave = true;
    void stop();
  });
  try {
    const running = await start({ ...options, log: foregroundLog() } satisfies ControlPlaneOptions).catch(
      asFailure,
    );
    stop = running.stop;
    if (leave) await stop();
    else {
      await tell({ pid: process.pid, url: running.url }, running.kubeconfig);
      if (format.kind === 'table') terminal.out('Ctrl-C stops it\n');
    }
    await running.done;
    return 0;
  } finally {
    off();
  }
};

/** Warnings and worse for whoever looks at the terminal; each component has its own log in the data folder. */
const foregroundLog = (): bunyan =>
  bunyan.createLogger({ name: 'control-plane', level: 'warn', stream: process.stderr });

export const up: Verb = async (input, krt) => {
  const options = parse(input);
  await checkFormat(options.format);
  return execute(options, { ...krt, start: startControlPlane, detach: detachControlPlane });
};
