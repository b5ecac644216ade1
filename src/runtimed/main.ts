/** runtimed as a program: settings from the environment, drains on SIGTERM, ends with its parent. */
import * as E from 'fp-ts/lib/Either.js';

import { kubeClient } from '../io/kube/client.js';
import { clusterFromServiceAccount } from '../io/kube/cluster.js';
import { openLog } from '../io/log.js';
import { endWithParent } from '../io/parent.js';
import { boundedOutput } from '../io/run-logs/bounded-output.js';
import { readConfig } from './config.js';
import { startRuntimed, VERSION } from './program.js';

// What the runtime container is to use, its group must be able to: both run with the pod's fsGroup.
process.umask(0o007);
endWithParent(() => process.exit(0));

const config = readConfig(process.env);
if (E.isLeft(config)) {
  for (const problem of config.left) process.stderr.write(`runtimed: ${problem}\n`);
  process.exit(2);
}
const stdout = boundedOutput(process.stdout, (dropped) =>
  log.warn({ dropped }, 'log records were dropped, their reader was too slow'),
);
const log = openLog({ name: 'runtimed', streams: [{ type: 'stream', stream: stdout }] });
try {
  const { serviceAccountDir, host, port } = config.right.api;
  const cluster = await clusterFromServiceAccount(serviceAccountDir, host, port);
  if (E.isLeft(cluster)) throw new Error(cluster.left.message);
  const kube = kubeClient(cluster.right, { userAgent: `runtimed/${VERSION}` });
  const running = await startRuntimed(config.right, kube, log, (records) => stdout.write(records));
  const drain = (): void => {
    log.info('draining, running attempts are left to end');
    running.drain();
  };
  process.on('SIGTERM', drain);
  process.on('SIGINT', drain);
  await running.done;
  log.info('drained');
  await running.close();
  process.exit(0);
} catch (err) {
  log.fatal({ err }, 'runtimed cannot go on');
  process.exit(1);
}
