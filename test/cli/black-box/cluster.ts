/** The real embedded API server, and an operator whose every step the test gives. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { isRight } from 'fp-ts/lib/Either.js';
import { filter, firstValueFrom, timeout } from 'rxjs';

import { type Folder, folderOf } from '../../../src/embedded/control-plane/folder.js';
import { kubeconfigText } from '../../../src/embedded/control-plane/kubeconfigs.js';
import { waitForApi } from '../../../src/embedded/control-plane/wait-for-api.js';
import { type KubeClient, kubeClient } from '../../../src/io/kube/client.js';
import { clusterFromKubeconfig } from '../../../src/io/kube/cluster.js';
import type { Resource } from '../../../src/model/resource.js';
import { runs } from '../../../src/model/resources.js';
import type { Effect } from '../../../src/ports.js';
import { bundles } from './bundle.js';
import { type Call, start } from './call.js';

/** Only against waiting for ever, milliseconds. */
const LIMIT_MS = 120_000;

/** The API server as a process, and the URL it listens on. */
const startApi = async (folder: Folder, port: number): Promise<readonly [ChildProcess, string]> => {
  const child = spawn(
    process.execPath,
    [join(bundles, 'apiserver.js'), '--data-dir', folder.dataDir, '--port', String(port)],
    { stdio: 'ignore' },
  );
  try {
    return [child, await waitForApi(folder, () => child.pid, AbortSignal.timeout(LIMIT_MS))];
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
};

const ended = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve();
    else child.once('exit', () => resolve());
  });

/** The answer of a call, which must succeed. */
export const answer = async <A>(effect: Effect<A>): Promise<A> => {
  const either = await firstValueFrom(effect);
  if (isRight(either)) return either.right;
  throw new Error(`${either.left.kind}: ${either.left.message}`);
};

export type TestCluster = Readonly<{
  folder: string;
  kubeconfig: string;
  kube: KubeClient;
  /** Calls krt against it. */
  krt: (...argv: ReadonlyArray<string>) => Call;
  /** Calls krt with text on stdin. */
  krtWith: (stdin: string, ...argv: ReadonlyArray<string>) => Call;
  /** A kubeconfig whose user has another token. */
  kubeconfigFor: (token: string) => string;
  /** A token of a ServiceAccount in namespace default, which is made if need be. */
  serviceAccountToken: (name: string) => Promise<string>;
  /** Creates a Run (or another object) as a user would. */
  create: (resource: Resource, body: Readonly<Record<string, unknown>>) => Promise<void>;
  /** Resolves with the Run as soon as it is as wanted. */
  until: (name: string, wanted: (run: Readonly<Record<string, unknown>>) => boolean) => Promise<unknown>;
  /** Writes a Run's status, as the operator does. */
  status: (name: string, status: Readonly<Record<string, unknown>>) => Promise<void>;
  /** Kills the API server as a power cut would. */
  killApi: () => Promise<void>;
  /** Starts it again on the same port and data. */
  restartApi: () => Promise<void>;
  close: () => Promise<void>;
}>;

/** A Run that echoes. */
export const runNamed = (name: string, more: Readonly<Record<string, unknown>> = {}) => ({
  apiVersion: 'kruntimes.io/v1alpha1',
  kind: 'Run',
  metadata: { name, namespace: 'default' },
  spec: { runtime: 'bash', source: { inline: 'echo hello\n' }, ...more },
});

export const startCluster = async (): Promise<TestCluster> => {
  const folder = mkdtempSync(join(tmpdir(), 'krt-test-'));
  const data = folderOf(join(folder, 'api'));
  mkdirSync(data.dataDir, { mode: 0o700 });
  let [api, url] = await startApi(data, 0);
  const port = Number(new URL(url).port);
  const tokens: Readonly<Record<string, string>> = JSON.parse(readFileSync(data.tokens, 'utf8'));
  const kubeconfigFor = (token: string): string => {
    const path = join(folder, `kubeconfig-${token.slice(0, 6)}`);
    writeFileSync(path, kubeconfigText(url, readFileSync(data.ca, 'utf8'), token), { mode: 0o600 });
    return path;
  };
  const kubeconfig = kubeconfigFor(tokens.admin ?? '');
  const cluster = await clusterFromKubeconfig({ paths: [kubeconfig] });
  if (!isRight(cluster)) throw new Error(cluster.left.message);
  const kube = kubeClient(cluster.right, { userAgent: 'test' });
  const namespace = 'default';

  return {
    folder,
    kubeconfig,
    kube,
    kubeconfigFor,
    krt: (...argv) => start(argv, { home: folder, kubeconfig }),
    krtWith: (stdin, ...argv) => start(argv, { home: folder, kubeconfig, stdin }),
    serviceAccountToken: async (name) => {
      const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`;
      const body = JSON.stringify({ apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} });
      const headers = { 'content-type': 'application/json' };
      const { status, body: said } = await answer(kube.raw('POST', path, { body, headers }));
      if (status !== 201) throw new Error(`no token: ${status} ${said.toString()}`);
      return JSON.parse(said.toString()).status.token;
    },
    create: async (resource, body) => {
      await answer(kube.create(resource, namespace, body));
    },
    until: async (name, wanted) => {
      const frame = await firstValueFrom(
        kube
          .watch(
            runs,
            { namespace, fieldSelector: `metadata.name=${name}` },
            {
              resourceVersion: '0',
              timeoutSeconds: LIMIT_MS / 1000,
              idleMs: LIMIT_MS,
            },
          )
          .pipe(
            filter(
              (each) =>
                isRight(each) &&
                (each.right.type === 'ADDED' || each.right.type === 'MODIFIED') &&
                wanted(each.right.object as Readonly<Record<string, unknown>>),
            ),
            timeout(LIMIT_MS),
          ),
      );
      return frame;
    },
    status: async (name, status) => {
      await answer(
        kube.patch(runs, { namespace, name }, { type: 'merge', body: { status } }, { subresource: 'status' }),
      );
    },
    killApi: async () => {
      api.kill('SIGKILL');
      await ended(api);
    },
    restartApi: async () => {
      [api, url] = await startApi(data, port);
    },
    close: async () => {
      kube.close();
      api.kill('SIGTERM');
      await ended(api);
      rmSync(folder, { recursive: true, force: true });
    },
  };
};

/** status of an end, as the operator writes it. */
export const end = (phase: string, reason: string, more: Readonly<Record<string, unknown>> = {}) => ({
  phase,
  attempt: 1,
  startTime: '2026-01-01T00:00:01.000000Z',
  completionTime: '2026-01-01T00:00:02.500000Z',
  conditions: [
    { type: 'Finished', status: 'True', reason, message: '', lastTransitionTime: '2026-01-01T00:00:02Z' },
  ],
  ...more,
});
