/**
 * Entry of the process kubelet: `kubelet --data-dir D [--kubeconfig F] [--node-name N]`.
 *
 * SIGTERM and SIGINT end all containers within seconds and keep the Pods; when the parent is gone everything is
 * killed at once.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import bunyan from 'bunyan';
import * as E from 'fp-ts/lib/Either.js';

import { kubeClient } from '../../io/kube/client.js';
import { clusterFromKubeconfig } from '../../io/kube/cluster.js';
import { endWithParent } from '../../io/parent.js';
import { refuseDebugger } from '../../io/refuse-debugger.js';
import { surviveLostOutput } from '../../io/standard-output.js';
import { version } from '../../model/version.js';
import { programsFolder } from './images.js';
import { type Kubelet, startKubelet } from './kubelet.js';

/** Time containers get to end when the kubelet is told to stop, milliseconds. */
const STOP_GRACE_MS = 2000;

const log = bunyan.createLogger({ name: 'kubelet', serializers: bunyan.stdSerializers });

const fail = (message: string): never => {
  process.stderr.write(`kubelet: ${message}\n`);
  process.exit(2);
};

const flags = (() => {
  try {
    return parseArgs({
      options: {
        'data-dir': { type: 'string' },
        kubeconfig: { type: 'string' },
        'node-name': { type: 'string', default: 'local' },
      },
    }).values;
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
})();

const dataDir = flags['data-dir'] ?? fail('--data-dir is required: the folder of the control plane');
const kubeconfig = flags.kubeconfig ?? join(dataDir, 'kubelet.kubeconfig');

let started: Kubelet | undefined;

const main = async (): Promise<void> => {
  const cluster = await clusterFromKubeconfig({ paths: [kubeconfig] });
  if (E.isLeft(cluster)) return fail(cluster.left.message);
  const client = kubeClient(cluster.right, { userAgent: `kruntimes-kubelet/${version}` });
  const kubelet = await startKubelet({
    kube: client,
    server: cluster.right.server,
    dataDir,
    nodeName: flags['node-name'],
    programs: programsFolder(),
    version,
    log,
  });
  started = kubelet;
  let isStopping = false;
  const stop = (signal: NodeJS.Signals): void => {
    if (isStopping) return;
    isStopping = true;
    log.info({ signal }, 'kubelet stopping');
    void kubelet.stop(STOP_GRACE_MS).finally(() => {
      client.close();
      process.exit(0);
    });
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
};

refuseDebugger();
surviveLostOutput();
// Before anything is awaited, so that a parent that dies during our start takes us along.
endWithParent(() => {
  started?.killAll();
  process.exit(0);
});

main().catch((err: unknown) => {
  log.fatal({ err }, 'kubelet cannot run');
  process.exit(1);
});
