/**
 * A real control plane without nodes: etcd, kube-apiserver and, where there is one, kube-controller-manager, on
 * loopback ports, with our CRDs and the operator's rights installed. All it writes is below one folder.
 */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import * as yaml from 'js-yaml';

import { anyFreePort } from '../../src/embedded/control-plane/free-port.js';
import { type Body, connect } from '../conformance/target.js';
import { type Caller, kubeconfigText, makeCredentials } from './credentials.js';
import { type Running, run } from './process.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Time a control plane gets to answer, milliseconds; 3 s on two idle cores. */
const START_LIMIT_MS = 120_000;
/** Pause between two questions to a program that tells nobody when it is ready, milliseconds. */
const ASK_AGAIN_MS = 100;
/** Pause before etcd is started again, milliseconds: a node's kubelet is slower. */
const ETCD_AGAIN_MS = 500;

/** Where the pods of real nodes find the API server. */
export type ForNodes = Readonly<{
  /** Address of the node, which is the API server's. */
  address: string;
  /** Cluster address of the Service `kubernetes`. */
  serviceAddress: string;
  podRange: string;
}>;

/** A control plane that answers. */
export type ApiLevel = Readonly<{
  url: string;
  port: number;
  caPem: string;
  /** Files with its certificate and key, for whoever stands in between. */
  certificate: Readonly<{ certFile: string; keyFile: string }>;
  token: (caller: Caller) => string;
  /** Text of a kubeconfig for the bearer of a token. */
  kubeconfigText: (token: string) => string;
  /** Path of one. */
  kubeconfig: (name: string, token: string) => string;
  hasControllers: boolean;
  call: ReturnType<typeof connect>['call'];
  /** Writes the objects of these YAML files; one that is there already stays as it is. */
  create: (paths: ReadonlyArray<string>) => Promise<void>;
  /** Of kube-apiserver; whoever kills it sees it started again on the same data and port. */
  apiServerPid: () => number;
  /** Of etcd, likewise. */
  etcdPid: () => number;
  /** Kills etcd, and starts it again when the given has been done. */
  withoutEtcd: (act: () => Promise<void>) => Promise<void>;
  /**
   * Copies what etcd has, as it is now. The answer goes back to that as etcd's manual asks for (`etcdutl snapshot restore
   * --bump-revision --mark-compacted`): all three programs are killed and started on the copy, its revision is put ahead of
   * every one that anybody knows, and what was before is compacted. Resolves when kube-apiserver answers.
   */
  copyStore: () => () => Promise<void>;
  /** Resolves when kube-apiserver answers, after a kill. */
  whenReady: () => Promise<void>;
  stop: () => Promise<void>;
}>;

/** Documents of YAML files, in order. */
const manifests = (paths: ReadonlyArray<string>): ReadonlyArray<Body> =>
  paths.flatMap((path) => yaml.loadAll(readFileSync(path, 'utf8')));

/** Path below which an object of these kinds is created. */
const collectionOf = ({ apiVersion, kind, metadata }: Body): string =>
  [
    apiVersion === 'v1' ? '/api/v1' : `/apis/${apiVersion}`,
    ...(metadata.namespace === undefined ? [] : ['namespaces', metadata.namespace]),
    `${kind.toLowerCase()}s`,
  ].join('/');

const crdFiles = (): ReadonlyArray<string> =>
  readdirSync(join(root, 'crds'))
    .filter((file) => file.endsWith('.yaml'))
    .sort()
    .map((file) => join(root, 'crds', file));

/** Where etcd's data are, of an API level below this folder. */
export const etcdFolder = (folder: string): string => join(folder, 'etcd');

/**
 * Starts one below the folder, with the programs (or links to them) of another folder. Without nodes it is reached on
 * loopback alone. `mustSync`: etcd has to survive its disk.
 */
export const startApiLevel = async (
  programs: string,
  folder: string,
  forNodes?: ForNodes,
  mustSync = false,
): Promise<ApiLevel> => {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const hasControllers = existsSync(join(programs, 'kube-controller-manager'));
  const credentials = await makeCredentials(
    join(folder, 'credentials'),
    forNodes === undefined ? [] : [forNodes.address, forNodes.serviceAddress],
  );
  const [etcdPort, peerPort, apiPort] = [await anyFreePort(), await anyFreePort(), await anyFreePort()];
  const [etcdUrl, peerUrl, url] = [etcdPort, peerPort, apiPort].map(
    (number, index) => `${index === 2 ? 'https' : 'http'}://127.0.0.1:${number}`,
  ) as [string, string, string];
  const client = connect(url, credentials.tokens.admin, credentials.caPem);
  const log = (name: string): string => join(folder, `${name}.log`);
  const textFor = (token: string): string => kubeconfigText(url, credentials.caPem, token);
  const kubeconfig: ApiLevel['kubeconfig'] = (name, token) => {
    const path = join(folder, `${name}.kubeconfig`);
    writeFileSync(path, textFor(token), { mode: 0o600 });
    return path;
  };

  const store = etcdFolder(folder);
  const startEtcd = (): Running =>
    run(
      join(programs, 'etcd'),
      [
        `--data-dir=${store}`,
        `--listen-client-urls=${etcdUrl}`,
        `--advertise-client-urls=${etcdUrl}`,
        `--listen-peer-urls=${peerUrl}`,
        `--initial-advertise-peer-urls=${peerUrl}`,
        `--initial-cluster=default=${peerUrl}`,
        // Nothing here has to survive the machine.
        ...(mustSync ? [] : ['--unsafe-no-fsync']),
      ],
      log('etcd'),
    );
  let [isStopping, isRestoring, isEtcdHeld] = [false, false, false];
  /** Whether kube-apiserver has been ready once: what cannot start is not started again. */
  let isUp = false;
  const keepEtcd = (): Running => {
    const started = startEtcd();
    void started.ended
      .then(() => pause(ETCD_AGAIN_MS))
      .then(() => {
        if (!isStopping && !isRestoring && !isEtcdHeld && isUp && etcd === started) etcd = keepEtcd();
      });
    return started;
  };
  let etcd = keepEtcd();
  const startApiServer = (): Running =>
    run(
      join(programs, 'kube-apiserver'),
      [
        `--etcd-servers=${etcdUrl}`,
        ...(forNodes === undefined
          ? // Its address is loopback, which no Endpoints object may name.
            ['--bind-address=127.0.0.1', '--endpoint-reconciler-type=none']
          : [
              '--bind-address=0.0.0.0',
              `--advertise-address=${forNodes.address}`,
              '--kubelet-preferred-address-types=InternalIP',
              '--enable-admission-plugins=NodeRestriction',
            ]),
        `--secure-port=${apiPort}`,
        `--cert-dir=${join(folder, 'certificates')}`,
        `--tls-cert-file=${credentials.certificateFile}`,
        `--tls-private-key-file=${credentials.keyFile}`,
        `--token-auth-file=${credentials.tokensFile}`,
        '--authorization-mode=Node,RBAC',
        '--service-account-issuer=https://kubernetes.default.svc',
        `--service-account-signing-key-file=${credentials.accountKeyFile}`,
        `--service-account-key-file=${credentials.accountPublicKeyFile}`,
        '--service-cluster-ip-range=10.96.0.0/16',
        '--allow-privileged=true',
        '--shutdown-delay-duration=0s',
      ],
      log('kube-apiserver'),
    );
  const keepApiServer = (): Running => {
    const started = startApiServer();
    void started.ended.then(() => {
      if (!isStopping && !isRestoring && isUp) apiServer = keepApiServer();
    });
    return started;
  };
  let apiServer = keepApiServer();

  /** Asks until it is so: neither program tells anybody when it is ready. */
  const until = async (what: string, isSo: () => Promise<boolean>): Promise<void> => {
    const deadline = performance.now() + START_LIMIT_MS;
    let isOver: string | undefined;
    if (!isUp)
      void apiServer.ended.then((how) => {
        isOver = how;
      });
    while (!(await isSo().catch(() => false))) {
      if (isOver !== undefined)
        throw new Error(`kube-apiserver ended (${isOver}):\n${apiServer.lastWords()}`);
      if (performance.now() > deadline)
        throw new Error(`${what}: not within ${START_LIMIT_MS} ms:\n${apiServer.lastWords()}`);
      await pause(ASK_AGAIN_MS);
    }
  };
  const isReady = async (): Promise<boolean> => (await client.call('GET', '/readyz')).code === 200;
  const create = async (paths: ReadonlyArray<string>): Promise<void> => {
    for (const object of manifests(paths)) {
      const { code, body } = await client.call('POST', collectionOf(object), object);
      if (code !== 201 && code !== 409)
        throw new Error(`${object.kind} ${object.metadata.name} is refused: ${body.message ?? body}`);
    }
  };

  /** What the controller manager would make in a namespace. */
  const createByHand = async (): Promise<void> => {
    const metadata = { namespace: 'default' };
    for (const [plural, object] of [
      [
        'serviceaccounts',
        { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', ...metadata } },
      ],
      [
        'configmaps',
        {
          apiVersion: 'v1',
          kind: 'ConfigMap',
          metadata: { name: 'kube-root-ca.crt', ...metadata },
          data: { 'ca.crt': credentials.caPem },
        },
      ],
    ] as const)
      await client.call('POST', `/api/v1/namespaces/default/${plural}`, object);
  };

  let controllers: Running | undefined;
  let controllersPort = 0;
  const startControllers = (): Running =>
    run(
      join(programs, 'kube-controller-manager'),
      [
        `--kubeconfig=${kubeconfig('controllers', credentials.tokens.controllers)}`,
        '--bind-address=127.0.0.1',
        `--secure-port=${controllersPort}`,
        `--cert-dir=${join(folder, 'certificates')}`,
        '--leader-elect=false',
        '--use-service-account-credentials=true',
        `--service-account-private-key-file=${credentials.accountKeyFile}`,
        `--root-ca-file=${credentials.caFile}`,
        ...(forNodes === undefined
          ? []
          : [
              '--allocate-node-cidrs=true',
              `--cluster-cidr=${forNodes.podRange}`,
              '--node-monitor-grace-period=20s',
            ]),
      ],
      log('kube-controller-manager'),
    );
  /** Asks etcd's gateway; the revision that it is at. */
  const askEtcd = async (verb: string, body: Readonly<Record<string, string>>): Promise<number> => {
    const answer = await fetch(`${etcdUrl}/v3/kv/${verb}`, { method: 'POST', body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`etcd refuses ${verb}: ${await answer.text()}`);
    return Number(((await answer.json()) as { header: { revision: string } }).header.revision);
  };
  const BUMP = Buffer.from('bump').toString('base64');
  const copyStore: ApiLevel['copyStore'] = () => {
    const copy = `${store}.copy`;
    // Between two instructions, as a crash would leave it.
    process.kill(etcd.pid, 'SIGSTOP');
    cpSync(store, copy, { recursive: true });
    process.kill(etcd.pid, 'SIGCONT');
    return async () => {
      const known = await askEtcd('range', { key: BUMP });
      isRestoring = true;
      await Promise.all([controllers?.end('SIGKILL'), apiServer.end('SIGKILL'), etcd.end('SIGKILL')]);
      rmSync(store, { recursive: true });
      cpSync(copy, store, { recursive: true });
      rmSync(copy, { recursive: true });
      etcd = keepEtcd();
      await until('etcd answers', async () => (await askEtcd('range', { key: BUMP })) > 0);
      let revision = 0;
      while (revision <= known) revision = await askEtcd('put', { key: BUMP, value: BUMP });
      await askEtcd('compaction', { revision: String(revision) });
      isRestoring = false;
      apiServer = keepApiServer();
      await until('kube-apiserver is ready again', isReady);
      if (controllers !== undefined) controllers = startControllers();
    };
  };
  const stop = async (): Promise<void> => {
    isStopping = true;
    await client.close();
    // etcd last: without it the others wait for it until they are killed.
    await controllers?.end();
    await apiServer.end();
    await etcd.end();
  };
  try {
    await until('kube-apiserver is ready', isReady);
    isUp = true;
    // On nodes the chart brings them.
    if (forNodes === undefined) {
      await create(crdFiles());
      const served = async (plural: string): Promise<boolean> =>
        (await client.call('GET', `/apis/kruntimes.io/v1alpha1/${plural}`)).code === 200;
      await until('the CRDs are served', async () => (await served('runs')) && served('runtimes'));
    }
    if (!hasControllers) await createByHand();
    else {
      controllersPort = await anyFreePort();
      controllers = startControllers();
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    url,
    port: apiPort,
    caPem: credentials.caPem,
    certificate: { certFile: credentials.certificateFile, keyFile: credentials.keyFile },
    token: (caller) => credentials.tokens[caller],
    kubeconfigText: textFor,
    kubeconfig,
    hasControllers,
    call: client.call,
    create,
    apiServerPid: () => apiServer.pid,
    etcdPid: () => etcd.pid,
    withoutEtcd: async (act) => {
      isEtcdHeld = true;
      await etcd.end('SIGKILL');
      try {
        await act();
      } finally {
        isEtcdHeld = false;
        etcd = keepEtcd();
      }
    },
    copyStore,
    whenReady: () => until('kube-apiserver is ready again', isReady),
    stop,
  };
};
