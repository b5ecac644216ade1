/** The Bash Runtime Server as a program. */
import bunyan from 'bunyan';
import { isLeft } from 'fp-ts/lib/Either.js';

import { endWithParent } from '../../io/parent.js';
import { keepYoungGenerationSmall } from '../../io/processes/small-young-generation.js';
import { refuseDebugger } from '../../io/refuse-debugger.js';
import { surviveLostOutput } from '../../io/standard-output.js';
import { readOptions, usage } from './options.js';
import { startServer } from './server.js';

keepYoungGenerationSmall();
refuseDebugger();
surviveLostOutput();

const options = readOptions(process.argv.slice(2), process.env);
if (isLeft(options)) {
  const isHelp = options.left === 'help';
  (isHelp ? process.stdout : process.stderr).write(
    isHelp ? `${usage}\n` : `bash-runtime: ${options.left}\n${usage}\n`,
  );
  process.exit(isHelp ? 0 : 2);
}

const log = bunyan.createLogger({
  name: 'bash-runtime',
  level: bunyan.resolveLevel(options.right.logLevel as bunyan.LogLevelString),
  stream: process.stderr,
});

try {
  const server = await startServer(options.right, log, process.env);
  let asked = 0;
  const killAll = async (reason: string): Promise<void> => {
    log.warn({ reason }, 'killing all executions');
    await server.kill();
    process.exit(0);
  };
  const stop = async (signal: string): Promise<void> => {
    asked += 1;
    if (asked === 2) await killAll(signal);
    if (asked !== 1) return;
    log.info({ signal }, 'draining: nothing new is started');
    await server.drain();
    if (asked === 1) process.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => void stop(signal));
  endWithParent(() => void killAll('parent gone'));
} catch (err) {
  log.fatal({ err }, 'cannot start');
  process.exit(1);
}
