/**
 * runtimed as a program: settings from the environment, drains on SIGTERM, ends with its parent. With the argument
 * `cleanup` it is the pod that only removes artifacts.
 */
import * as E from 'fp-ts/lib/Either.js';

import { kubeClient } from '../io/kube/client.js';
import { clusterFromServiceAccount } from '../io/kube/cluster.js';
import { openLog } from '../io/log.js';
import { endWithParent } from '../io/parent.js';
import { refuseDebugger } from '../io/refuse-debugger.js';
import { boundedOutput } from '../io/run-logs/bounded-output.js';
import { surviveLostOutput } from '../io/standard-output.js';
import { CLEANUP_MODE } from '../model/names.js';
import { startCleanup } from './cleanup.js';
import { readCleanupConfig, readConfig } from './config.js';
import { startRuntimed, VERSION } from './program.js';

/** Ends over settings that are wrong. */
const refuse = (problems: ReadonlyArray<string>): never => {
  for (const problem of problems) process.stderr.write(`runtimed: ${problem}\n`);
  process.exit(2);
};

const onSignal = (act: () => void): void => {
  process.on('SIGTERM', act);
  process.on('SIGINT', act);
};

const serveRuns = async (): Promise<void> => {
  const config = readConfig(process.env);
  if (E.isLeft(config)) return refuse(config.left);
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
    onSignal(() => {
      log.info('draining, running attempts are left to end');
      running.drain();
    });
    await running.done;
    log.info('drained');
    await running.close();
    process.exit(0);
  } catch (err) {
    log.fatal({ err }, 'runtimed cannot go on');
    process.exit(1);
  }
};

const removeArtifacts = async (): Promise<void> => {
  const config = readCleanupConfig(process.env);
  if (E.isLeft(config)) return refuse(config.left);
  const session = await startCleanup(config.right, VERSION, openLog({ name: 'runtimed' }));
  onSignal(() => {
    session.unsubscribe();
    process.exit(0);
  });
};

refuseDebugger();
surviveLostOutput();
// What the runtime container is to use, its group must be able to: both run with the pod's fsGroup.
process.umask(0o007);
endWithParent(() => process.exit(0));
await (process.argv[2] === CLEANUP_MODE ? removeArtifacts() : serveRuns());
