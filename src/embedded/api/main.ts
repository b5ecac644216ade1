/** Program `apiserver`: the embedded Kubernetes API server as a process. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import bunyan from 'bunyan';

import { endWithParent } from '../../io/parent.js';
import { refuseDebugger } from '../../io/refuse-debugger.js';
import { surviveLostOutput } from '../../io/standard-output.js';
import { announce, startApiServer } from './server.js';

const log = bunyan.createLogger({
  name: 'apiserver',
  serializers: bunyan.stdSerializers,
  stream: process.stderr,
});

const usage =
  'usage: apiserver --data-dir DIR [--port N] [--host ADDRESS] [--crds DIR] [--watch-history SECONDS]';

type Flags = Readonly<{
  dataDir: string;
  port: number;
  host: string;
  crds: string | undefined;
  historyMs: number | undefined;
}>;

const readFlags = (): Flags => {
  const { values } = parseArgs({
    options: {
      'data-dir': { type: 'string' },
      port: { type: 'string', default: '0' },
      host: { type: 'string', default: '127.0.0.1' },
      crds: { type: 'string' },
      'watch-history': { type: 'string' },
    },
  });
  const dataDir = values['data-dir'];
  const port = Number(values.port);
  if (dataDir === undefined) throw new Error('--data-dir is required');
  if (!/^[0-9]+$/.test(values.port) || port > 65_535)
    throw new Error('--port must be a number from 0 to 65535');
  const history = values['watch-history'];
  if (history !== undefined && !/^[1-9][0-9]{0,4}$/.test(history))
    throw new Error('--watch-history must be a number of seconds from 1 to 99999');
  return {
    dataDir,
    port,
    host: values.host,
    crds: values.crds,
    historyMs: history === undefined ? undefined : Number(history) * 1000,
  };
};

const main = async (): Promise<void> => {
  let flags: Flags;
  try {
    flags = readFlags();
  } catch (error) {
    process.stderr.write(`apiserver: ${error instanceof Error ? error.message : String(error)}\n${usage}\n`);
    process.exitCode = 2;
    return;
  }
  const { dataDir, port, host, crds, historyMs } = flags;
  const server = await startApiServer({
    dataDir,
    port,
    host,
    log,
    historyMs,
    ...(crds === undefined ? {} : { crds }),
    onFatal: (error) => {
      log.fatal({ err: error }, 'the store failed');
      process.exit(1);
    },
  });
  let ending = false;
  const end = (why: string): void => {
    if (ending) return;
    ending = true;
    log.info({ why }, 'api server ends');
    rmSync(join(dataDir, 'apiserver.json'), { force: true });
    server.close().then(
      () => process.exit(0),
      (error: unknown) => {
        log.error({ err: error }, 'api server did not end in good order');
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', () => end('SIGTERM'));
  process.on('SIGINT', () => end('SIGINT'));
  endWithParent(() => end('parent is gone'));
  announce(dataDir, server.url);
};

refuseDebugger();
surviveLostOutput();
main().catch((error: unknown) => {
  log.fatal({ err: error }, 'api server could not start');
  process.exit(1);
});
