/** Pods as designed, on a whole node: what is in them, what they may do, what they can read, how they end. */
import { expect } from 'chai';

import type { Body, Reply } from '../../conformance/target.js';
import { rightsOf } from '../rights.js';
import {
  type Installation,
  projectFile,
  READY_LIMIT_MS,
  restrictedNamespace,
  theInstallation,
} from './installation.js';
import { hasNode } from './the-node.js';

const API_TOKEN = '/var/run/secrets/kruntimes.io/api/token';
const SESSION_TOKEN = '/var/run/secrets/kruntimes.io/session/token';
const TEAM = 'team';

describe('pods on a whole node', function () {
  this.timeout(120_000);
  let on: Installation;
  before(async function () {
    if (!hasNode) return this.skip();
    this.timeout(4 * READY_LIMIT_MS);
    on = await theInstallation();
  });

  const json = async (args: ReadonlyArray<string>): Promise<Body> =>
    JSON.parse(await on.kubectl([...args, '-o', 'json']));
  const readyPods = async (selector: string, namespace = 'default'): Promise<ReadonlyArray<string>> => {
    const where = ['-l', selector, '-n', namespace];
    await on.kubectl(['wait', '--for=condition=Ready', 'pod', ...where, '--timeout=110s']);
    return (await json(['get', 'pods', ...where])).items.map(({ metadata }: Body) => metadata.name);
  };
  const inContainer = (pod: string, container: string, command: string, namespace = 'default') =>
    on.say('kubectl', ['exec', '-n', namespace, pod, '-c', container, '--', 'sh', '-c', command]);
  const ended = async (name: string, namespace = 'default'): Promise<Body> => {
    await on.kubectl(['wait', '-n', namespace, '--for=condition=Finished', `run/${name}`, '--timeout=60s']);
    return json(['get', 'run', name, '-n', namespace]);
  };
  const run = (name: string, runtime: string, inline: string): string =>
    JSON.stringify({
      apiVersion: 'kruntimes.io/v1alpha1',
      kind: 'Run',
      metadata: { name },
      spec: { runtime, source: { inline } },
    });
  const patch = (path: string, body: Body, token: string): Promise<Reply> =>
    on.node.api.call('PATCH', path, body, { type: 'application/merge-patch+json', token });

  it('the Runtimes chart works in a namespace that enforces the restricted standard; helm test says so', async () => {
    await on.kubectl(['apply', '-f', '-'], JSON.stringify(restrictedNamespace(TEAM)));
    await on.helm([
      ...['install', 'runtimes', projectFile('charts/kruntimes-runtimes'), `--namespace=${TEAM}`],
      ...['--set=images.tag=latest', '--set=runtimes.bash.replicas=1'],
    ]);
    await on.kubectl(['wait', '-n', TEAM, '--for=condition=Ready', 'runtime/bash', '--timeout=110s']);
    await on.helm(['test', 'runtimes', `--namespace=${TEAM}`, '--timeout=100s']);
    await on.helm(['test', 'kruntimes', '--namespace=kruntimes-system', '--timeout=100s']);
  });

  it('every container there is user 65532 with a root filesystem that cannot be written', async () => {
    const [pod = ''] = await readyPods('runtime=bash', TEAM);
    for (const container of ['runtime', 'runtimed']) {
      const { out, err } = await inContainer(pod, container, 'id -u; touch /x', TEAM);
      expect(out).to.equal('65532\n');
      expect(err).to.contain("cannot touch '/x': Read-only file system");
    }
  });

  it('neither the runtime container nor a Run can read a token; runtimed has both of its own', async () => {
    const [pod = ''] = await readyPods('runtime=bash');
    const search =
      'find / -xdev -path /proc -prune -o -name token -print 2>/dev/null; ls /var/run/secrets 2>&1';
    const { out } = await inContainer(pod, 'runtime', search);
    expect(out).to.equal("ls: cannot access '/var/run/secrets': No such file or directory\n");
    // Whatever this Run finds fails it.
    const inline = `
      found=$(find / -path /proc -prune -o \\( -name token -o -name ca.crt -path '*secrets*' \\) -print 2>/dev/null)
      [ -z "$found" ] && ! ls /var/run/secrets /run/secrets 2>/dev/null && ! env | grep -i token &&
        for file in /proc/[0-9]*/root/var/run/secrets/kruntimes.io/api/token; do ! cat "$file" || exit 1; done
    `;
    await on.kubectl(['create', '-f', '-'], run('thief', 'bash', inline));
    expect((await ended('thief')).status.phase).to.equal('Succeeded');
    for (const file of [API_TOKEN, SESSION_TOKEN]) {
      const { code, out: token } = await inContainer(pod, 'runtimed', `cat ${file}`);
      expect(code).to.equal(0);
      expect(token.split('.')).to.have.length(3);
    }
  });

  it('a template that shares processes between containers, by which Runs could read tokens, is refused', async () => {
    const containers = [{ name: 'runtime', image: 'kruntimes-bash-runtime:latest' }];
    const { code, err } = await on.say(
      'kubectl',
      ['create', '-f', '-'],
      JSON.stringify({
        apiVersion: 'kruntimes.io/v1alpha1',
        kind: 'Runtime',
        metadata: { name: 'sharing' },
        spec: { template: { spec: { shareProcessNamespace: true, containers } } },
      }),
    );
    expect(code).to.equal(1);
    expect(err).to.contain('shareProcessNamespace').and.to.contain('read the tokens of runtimed');
  });

  it("runtimed's token writes the status of its own pod's Runs and nothing else; its session token opens no API", async () => {
    await on.kubectl(
      ['create', '-f', '-'],
      ['own-1', 'own-2', 'own-3', 'own-4'].map((name) => run(name, 'bash', 'sleep 600')).join('\n'),
    );
    await on.kubectl(['create', '-n', TEAM, '-f', '-'], run('elsewhere', 'bash', 'sleep 600'));
    const assigned = new Map<string, string>();
    for (const name of ['own-1', 'own-2', 'own-3', 'own-4']) {
      await on.kubectl(['wait', '--for=jsonpath={.status.phase}=Running', `run/${name}`, '--timeout=60s']);
      assigned.set(name, (await json(['get', 'run', name])).status.assignedPod);
    }
    const mine = assigned.get('own-1') ?? '';
    const foreign = [...assigned].find(([, pod]) => pod !== mine)?.[0];
    expect(foreign, 'a Run of the other pod').to.not.equal(undefined);
    const { out: token } = await inContainer(mine, 'runtimed', `cat ${API_TOKEN}`);
    const runs = (namespace: string): string => `/apis/kruntimes.io/v1alpha1/namespaces/${namespace}/runs`;
    const message = { status: { message: 'written' } };
    expect((await patch(`${runs('default')}/own-1/status`, message, token)).code).to.equal(200);
    const other = await patch(`${runs('default')}/${foreign}/status`, message, token);
    expect(other.code).to.equal(403);
    expect(other.body.message).to.contain(`pod ${mine} cannot write its status`);
    expect((await patch(`${runs(TEAM)}/elsewhere/status`, message, token)).code).to.equal(403);
    expect(
      (await patch(`${runs('default')}/own-1`, { spec: { cancelRequested: true } }, token)).code,
    ).to.equal(403);
    for (const path of ['/api/v1/namespaces/default/secrets', '/api/v1/namespaces/default/pods'])
      expect((await on.node.api.call('GET', path, undefined, { token })).code).to.equal(403);
    const { out: session } = await inContainer(mine, 'runtimed', `cat ${SESSION_TOKEN}`);
    expect((await on.node.api.call('GET', runs('default'), undefined, { token: session })).code).to.equal(
      401,
    );
    for (const name of assigned.keys()) await on.kubectl(['delete', 'run', name]);
    await on.kubectl(['delete', 'run', 'elsewhere', '-n', TEAM]);
  });

  it('fields of the template are kept, and its init and side containers work', async () => {
    const handler = {
      apiVersion: 'node.k8s.io/v1',
      kind: 'RuntimeClass',
      metadata: { name: 'plain' },
      handler: 'runc',
    };
    await on.kubectl(['apply', '-f', '-'], JSON.stringify(handler));
    const image = { image: 'kruntimes-bash-runtime:latest', imagePullPolicy: 'Never' };
    const mounts = { volumeMounts: [{ name: 'given', mountPath: '/given' }] };
    const spec = {
      nodeSelector: { 'kubernetes.io/os': 'linux' },
      tolerations: [{ key: 'only', operator: 'Equal', value: 'runs', effect: 'NoSchedule' }],
      affinity: {
        nodeAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: {
            nodeSelectorTerms: [
              { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: ['node-1'] }] },
            ],
          },
        },
      },
      imagePullSecrets: [{ name: 'registry' }],
      runtimeClassName: 'plain',
      initContainers: [
        { name: 'first', ...image, ...mounts, command: ['bash', '-c', 'echo made > /given/first'] },
      ],
      containers: [
        { name: 'runtime', ...image, ...mounts },
        {
          name: 'beside',
          ...image,
          ...mounts,
          command: ['bash', '-c', 'echo too > /given/beside; exec sleep 100000'],
        },
      ],
      volumes: [{ name: 'given', emptyDir: { medium: 'Memory' } }],
      hostAliases: [{ ip: '10.9.8.7', hostnames: ['known.example'] }],
      terminationGracePeriodSeconds: 5,
    };
    await on.kubectl(
      ['create', '-f', '-'],
      JSON.stringify({
        apiVersion: 'kruntimes.io/v1alpha1',
        kind: 'Runtime',
        metadata: { name: 'rich' },
        spec: { replicas: 1, template: { metadata: { annotations: { 'example.com/a': 'b' } }, spec } },
      }),
    );
    await on.plane.whenReady('rich', 1, READY_LIMIT_MS);
    const [pod] = (await json(['get', 'pods', '-l', 'kruntimes.io/runtime=rich'])).items;
    for (const [key, value] of Object.entries(spec)) {
      if (key === 'containers' || key === 'initContainers' || key === 'volumes' || key === 'tolerations')
        continue;
      expect(pod.spec[key], key).to.deep.equal(value);
    }
    expect(pod.spec.tolerations).to.deep.include(spec.tolerations[0]);
    expect(pod.spec.volumes).to.deep.include(spec.volumes[0]);
    expect(pod.spec.containers.map(({ name }: Body) => name)).to.deep.equal([
      'runtime',
      'beside',
      'runtimed',
    ]);
    expect(pod.metadata.annotations['example.com/a']).to.equal('b');
    const inline =
      'test "$(cat /given/first /given/beside)" = "$(printf "made\\ntoo")" && getent hosts known.example';
    await on.kubectl(['create', '-f', '-'], run('rich', 'rich', inline));
    expect((await ended('rich')).status).to.include({ phase: 'Succeeded', exitCode: 0 });
    await on.kubectl(['delete', 'runtime', 'rich']);
    await on.kubectl(['wait', '--for=delete', `pod/${pod.metadata.name}`, '--timeout=60s']);
  });

  it("a user's own ServiceAccount has runtimed's permissions while a Runtime uses it", async () => {
    await on.kubectl(['create', 'serviceaccount', 'worker']);
    const token = (await on.kubectl(['create', 'token', 'worker'])).trim();
    const rights = (): Promise<ReadonlyArray<string>> => rightsOf(on.node.api, token, 'default');
    expect(await rights()).to.deep.equal([]);
    await on.kubectl(
      ['create', '-f', '-'],
      JSON.stringify({
        apiVersion: 'kruntimes.io/v1alpha1',
        kind: 'Runtime',
        metadata: { name: 'own-account' },
        spec: {
          replicas: 1,
          template: {
            spec: {
              serviceAccountName: 'worker',
              containers: [
                { name: 'runtime', image: 'kruntimes-bash-runtime:latest', imagePullPolicy: 'Never' },
              ],
            },
          },
        },
      }),
    );
    await on.plane.whenReady('own-account', 1, READY_LIMIT_MS);
    const ofRuntimed = (await on.kubectl(['create', 'token', 'kruntimes-runtimed'])).trim();
    expect(await rights()).to.deep.equal(await rightsOf(on.node.api, ofRuntimed, 'default'));
    expect(await rightsOf(on.node.api, token, TEAM)).to.deep.equal([]);
    await on.kubectl(['create', '-f', '-'], run('as-worker', 'own-account', ':'));
    expect((await ended('as-worker')).status.phase).to.equal('Succeeded');
    await on.kubectl(['delete', 'runtime', 'own-account']);
    // The grant is taken back when the last pod is gone; kubectl's own wait asks for it.
    await on.kubectl([
      'wait',
      '--for=delete',
      'pod',
      '-l',
      'kruntimes.io/runtime=own-account',
      '--timeout=60s',
    ]);
    const deadline = performance.now() + 30_000;
    while ((await rights()).length > 0 && performance.now() < deadline);
    expect(await rights()).to.deep.equal([]);
  });

  it('an idle pod ends when it is told to, not when its grace is over', async () => {
    const [pod = ''] = await readyPods('runtime=bash');
    const startedMs = performance.now();
    await on.kubectl(['delete', 'pod', pod, '--wait=true']);
    expect(performance.now() - startedMs, 'milliseconds of a grace of 30 s').to.be.below(15_000);
    await on.plane.whenReady('bash', 2, READY_LIMIT_MS);
  });
});
