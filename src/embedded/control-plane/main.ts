/**
 * Entry of the detached supervisor: `krt up --detach` starts it and waits for one line on fd 3: `ready` or
 * `failed <message>`.
 */
import { closeSync, writeSync } from 'node:fs';
import { parseArgs } from 'node:util';

import bunyan from 'bunyan';

import { endWithParent } from '../../io/parent.js';
import { refuseDebugger } from '../../io/refuse-debugger.js';
import { surviveLostOutput } from '../../io/standard-output.js';
import { splitImageFlag } from './image-flag.js';
import { ControlPlaneError, startControlPlane } from './start.js';

const READY_FD = 3;

const log = bunyan.createLogger({ name: 'control-plane', serializers: bunyan.stdSerializers });

const { values: flags } = parseArgs({
  options: {
    'data-dir': { type: 'string' },
    port: { type: 'string' },
    image: { type: 'string', multiple: true },
    'no-runtimes': { type: 'boolean', default: false },
    // For work on a component, which then is run by hand.
    without: { type: 'string', multiple: true },
  },
});

const say = (text: string): void => {
  try {
    writeSync(READY_FD, `${text.replaceAll('\n', ' ')}\n`);
    closeSync(READY_FD);
  } catch {
    // Whoever started us has gone, or nobody waits.
  }
};

const main = async (): Promise<void> => {
  const running = await startControlPlane({
    dataDir: flags['data-dir'] ?? '.',
    ...(flags.port === undefined ? {} : { port: Number(flags.port) }),
    images: Object.fromEntries((flags.image ?? []).map(splitImageFlag)),
    withRuntimes: !flags['no-runtimes'],
    without: (['controller', 'kubelet'] as const).filter((name) => flags.without?.includes(name)),
    log,
  });
  say('ready');
  const stop = (): void => void running.stop();
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  process.on('SIGHUP', () => undefined);
  await running.done;
};

refuseDebugger();
surviveLostOutput();
// `krt up --detach` gives us no parent to watch; a test or a demo does, and leaves nothing behind when it is killed.
endWithParent(() => process.exit(1));

main().then(
  () => process.exit(0),
  (err: unknown) => {
    log.fatal({ err }, 'control plane cannot run');
    say(`failed ${err instanceof ControlPlaneError || err instanceof Error ? err.message : String(err)}`);
    process.exit(1);
  },
);
