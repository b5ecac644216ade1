/**
 * A whole node: the control plane of the API level, and a machine with containerd, kubelet and kube-proxy. To be called
 * in a network namespace of its own.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, realpathSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import { type ApiLevel, startApiLevel } from '../api-level.js';
import { type Running, run } from '../process.js';
import { CLUSTER_DOMAIN, startDns } from './dns.js';
import { type Machine, startMachine } from './machine.js';

/** What a node is made of. */
export type Parts = Readonly<{
  /** Folder with the programs of nodeLevelPrograms, or links to them. */
  programs: string;
  /** Root filesystem with containerd, runc, CNI plugins and iptables. */
  root: string;
  /** Folder with archives of images. */
  images: string;
}>;

/** A cluster of one node. */
export type NodeLevel = Readonly<{
  api: ApiLevel;
  machine: Machine;
  /** Starts or continues what is in the cluster; for faults on purpose. */
  kubelet: Running;
  stop: () => Promise<void>;
}>;

export const NODE = 'node-1';
const ADDRESS = '172.30.0.1';
const POD_RANGE = '10.244.0.0/24';
const PAUSE_IMAGE = 'docker.io/library/pause:test';
const START_LIMIT_MS = 180_000;
const ASK_AGAIN_MS = 100;

const ip = (...args: ReadonlyArray<string>): void => {
  const { status, stderr } = spawnSync('ip', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr.trim()}`);
};

/** The node's own address; a route to anywhere, so that addresses of Services find their way into iptables. */
const makeNetwork = (): void => {
  ip('link', 'set', 'lo', 'up');
  ip('link', 'add', 'node0', 'type', 'bridge');
  ip('address', 'add', `${ADDRESS}/24`, 'dev', 'node0');
  ip('link', 'set', 'node0', 'up');
  ip('route', 'add', 'default', 'dev', 'node0');
};

const containerdConfig = `version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
oom_score = 0
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${PAUSE_IMAGE}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/node/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
`;

const cniConfig = {
  cniVersion: '0.4.0',
  name: 'pods',
  plugins: [
    {
      type: 'bridge',
      bridge: 'pods0',
      isGateway: true,
      ipMasq: true,
      hairpinMode: true,
      ipam: { type: 'host-local', ranges: [[{ subnet: POD_RANGE }]], routes: [{ dst: '0.0.0.0/0' }] },
    },
    { type: 'portmap', capabilities: { portMappings: true } },
  ],
};

const kubeletConfig = {
  apiVersion: 'kubelet.config.k8s.io/v1beta1',
  kind: 'KubeletConfiguration',
  address: ADDRESS,
  // In a network of their own nobody but this cluster reaches it.
  authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
  authorization: { mode: 'AlwaysAllow' },
  cgroupDriver: 'cgroupfs',
  failCgroupV1: false,
  containerRuntimeEndpoint: 'unix:///run/containerd/containerd.sock',
  clusterDNS: [ADDRESS],
  clusterDomain: CLUSTER_DOMAIN,
  resolvConf: '/node/resolv.conf',
  enforceNodeAllocatable: ['pods'],
  oomScoreAdj: 0,
  failSwapOn: false,
  protectKernelDefaults: true,
  nodeStatusUpdateFrequency: '1s',
  evictionHard: { 'memory.available': '50Mi', 'nodefs.available': '1%', 'imagefs.available': '1%' },
  imageGCHighThresholdPercent: 100,
  syncFrequency: '10s',
};

const proxyConfig = {
  apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
  kind: 'KubeProxyConfiguration',
  mode: 'iptables',
  clusterCIDR: POD_RANGE,
  oomScoreAdj: 0,
  clientConnection: { kubeconfig: '/node/proxy.kubeconfig' },
  healthzBindAddress: '127.0.0.1:10256',
  metricsBindAddress: '127.0.0.1:10249',
  conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
};

/** Starts one below the folder, with the images in it. */
export const startNodeLevel = async (
  { programs, root, images }: Parts,
  folder: string,
): Promise<NodeLevel> => {
  makeNetwork();
  const api = await startApiLevel(programs, join(folder, 'api'), {
    address: ADDRESS,
    serviceAddress: '10.96.0.1',
    podRange: POD_RANGE,
  });
  const stops: Array<() => Promise<void> | void> = [() => api.stop()];
  const stop = async (): Promise<void> => {
    for (const next of stops.splice(0).reverse()) await next();
  };
  try {
    const machine = await startMachine(
      { root, programs: dirname(realpathSync(join(programs, 'kubelet'))), images },
      join(folder, 'machine'),
    );
    stops.push(() => machine.stop());
    const write = (name: string, content: string | object): void =>
      writeFileSync(
        join(machine.folder, name),
        typeof content === 'string' ? content : JSON.stringify(content),
        { mode: 0o600 },
      );
    mkdirSync(join(machine.folder, 'cni'));
    write('containerd.toml', containerdConfig);
    write('cni/10-pods.conflist', cniConfig);
    write('kubelet.json', kubeletConfig);
    write('proxy.json', proxyConfig);
    write('resolv.conf', '');
    for (const caller of ['node', 'proxy'] as const)
      write(`${caller}.kubeconfig`, api.kubeconfigText(api.token(caller)));

    const until = async (what: string, program: Running, isSo: () => Promise<boolean>): Promise<void> => {
      const deadline = performance.now() + START_LIMIT_MS;
      let over: string | undefined;
      void program.ended.then((how) => {
        over = how;
      });
      while (!(await isSo().catch(() => false))) {
        if (over !== undefined || performance.now() > deadline)
          throw new Error(
            `${what}: not within ${START_LIMIT_MS} ms, ${over ?? 'it runs'}:\n${program.lastWords()}`,
          );
        await pause(ASK_AGAIN_MS);
      }
    };

    const containerd = machine.start('containerd', ['containerd', '--config', '/node/containerd.toml']);
    const ctr = (...args: ReadonlyArray<string>): Promise<string> =>
      machine.exec(['ctr', '-n', 'k8s.io', ...args]);
    await until('containerd answers', containerd, async () => (await ctr('version')) !== '');
    for (const archive of readdirSync(images).filter((name) => name.endsWith('.tar')))
      await ctr('images', 'import', '--all-platforms', `/images/${archive}`);
    const kubelet = machine.start('kubelet', [
      '/opt/cluster/kubelet',
      '--config=/node/kubelet.json',
      '--kubeconfig=/node/node.kubeconfig',
      `--hostname-override=${NODE}`,
      `--node-ip=${ADDRESS}`,
      '--cert-dir=/node/kubelet-certificates',
      '--v=2',
    ]);
    const proxy = machine.start('kube-proxy', [
      '/opt/cluster/kube-proxy',
      '--config=/node/proxy.json',
      `--hostname-override=${NODE}`,
      '--v=2',
    ]);
    const scheduler = run(
      join(programs, 'kube-scheduler'),
      [
        `--kubeconfig=${api.kubeconfig('scheduler', api.token('scheduler'))}`,
        '--bind-address=127.0.0.1',
        '--leader-elect=false',
      ],
      join(folder, 'kube-scheduler.log'),
    );
    stops.push(() => scheduler.end());
    const dns = await startDns(api.call, ADDRESS);
    stops.push(() => dns.close());
    await until('the node is Ready', kubelet, async () => {
      const { body } = await api.call('GET', `/api/v1/nodes/${NODE}`);
      return body.status.conditions.some(
        ({ type, status }: { type: string; status: string }) => type === 'Ready' && status === 'True',
      );
    });
    await until('kube-proxy knows the API server', proxy, async () =>
      (await machine.exec(['iptables-save', '-t', 'nat'])).includes('10.96.0.1/32'),
    );
    return { api, machine, kubelet, stop };
  } catch (error) {
    await stop();
    throw error;
  }
};
