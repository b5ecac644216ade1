/**
 * The charts on a real kube-apiserver, without nodes: what it takes of them, what helm does with them, what the
 * accounts may do, and that a runtimed writes the status of its own Runs alone. Run by `npm run test:cluster`.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { expect } from 'chai';
import * as E from 'fp-ts/lib/Either.js';

import { RUNTIMED_RULES } from '../../streams/effects/grant-calls.js';
import { cases } from '../charts/cases.js';
import { chart, findHelm, renderObjects } from '../charts/helm.js';
import type { Body } from '../conformance/target.js';
import { START_LIMIT_MS } from '../e2e/control-plane.js';
import { type ApiLevel, startApiLevel } from './api-level.js';
import { accountToken } from './control-plane.js';
import { foreignCrds } from './foreign-crds.js';
import { rightsOf } from './rights.js';

const runtimesPath = '/apis/kruntimes.io/v1alpha1';
const rbacPath = '/apis/rbac.authorization.k8s.io/v1';

/** Path below which an object is created. */
const collectionOf = ({ apiVersion, kind, metadata }: Body): string =>
  [
    apiVersion === 'v1' ? '/api/v1' : `/apis/${apiVersion}`,
    ...(metadata.namespace === undefined ? [] : ['namespaces', metadata.namespace]),
    `${kind.toLowerCase().replace(/y$/, 'ie')}s`,
  ].join('/');

/** Kinds that other projects bring. */
const isForeign = ({ apiVersion }: Body): boolean =>
  /^(cert-manager\.io|monitoring\.coreos\.com)\//.test(apiVersion);

describe('charts on a cluster', function () {
  this.timeout(120_000);
  const programs = process.env.CLUSTER_BINARIES;
  const helm = findHelm();
  let folder: string;
  let level: ApiLevel;
  let admin: string;
  const operators: ChildProcess[] = [];

  const run = (...args: ReadonlyArray<string>): string => {
    const { status, stdout, stderr } = spawnSync(helm ?? '', args, {
      encoding: 'utf8',
      env: {
        ...process.env,
        KUBECONFIG: admin,
        HELM_CACHE_HOME: folder,
        HELM_CONFIG_HOME: folder,
        HELM_DATA_HOME: folder,
      },
    });
    if (status !== 0) throw new Error(`helm ${args.join(' ')}: ${stderr.trim()}`);
    return stdout;
  };
  const put = async (object: Body): Promise<Body> => {
    const { code, body } = await level.call('POST', collectionOf(object), object);
    if (code !== 201) throw new Error(`${object.kind} ${object.metadata.name}: ${body.message}`);
    return body;
  };
  /** A namespace with the account that pods in it have. */
  const namespace = async (name: string, labels: Body = {}): Promise<void> => {
    await put({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } });
    const path = `/api/v1/namespaces/${name}/serviceaccounts`;
    if (!level.hasControllers) await account({ name: 'default', namespace: name });
    await until(
      `${name} has its account`,
      async () => (await level.call('GET', `${path}/default`)).code === 200,
    );
  };
  const account = (metadata: Body) => put({ apiVersion: 'v1', kind: 'ServiceAccount', metadata });
  /** Asks until it is so: the API server takes policies and rights up when its own watches bring them. */
  const until = async (what: string, isSo: () => Promise<boolean>): Promise<void> => {
    const deadline = performance.now() + 60_000;
    while (!(await isSo())) {
      if (performance.now() > deadline) throw new Error(`${what}: not within 60 s`);
      await pause(50);
    }
  };
  const crdPath = (plural: string): string =>
    `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${plural}.kruntimes.io`;
  const isServed = async (): Promise<boolean> =>
    (await level.call('GET', `${runtimesPath}/runs`)).code === 200 &&
    (await level.call('GET', `${runtimesPath}/runtimes`)).code === 200;

  before(async function () {
    if (programs === undefined || helm === undefined) return this.skip();
    this.timeout(START_LIMIT_MS);
    folder = mkdtempSync(join(tmpdir(), 'krt-charts-'));
    level = await startApiLevel(programs, join(folder, 'api'));
    admin = level.kubeconfig('helm', level.token('admin'));
    // The chart is to bring them.
    for (const plural of ['runs', 'runtimes']) await level.call('DELETE', crdPath(plural));
    await until('the CRDs are gone', async () => (await level.call('GET', crdPath('runs'))).code === 404);
    await until('the CRDs are gone', async () => (await level.call('GET', crdPath('runtimes'))).code === 404);
    run('install', 'kruntimes', chart('kruntimes'), '--namespace=kruntimes-system', '--create-namespace');
    await until('the CRDs are served', isServed);
    if (!level.hasControllers) await account({ name: 'default', namespace: 'kruntimes-system' });
    const own = '/api/v1/namespaces/kruntimes-system/serviceaccounts/default';
    await until('the namespace has its account', async () => (await level.call('GET', own)).code === 200);
  });
  after(async () => {
    for (const operator of operators) {
      operator.kill('SIGKILL');
      await once(operator, 'exit');
    }
    await level?.stop();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });

  /** Installs what the charts' objects of other projects are judged by. */
  const withForeignCrds = async (): Promise<boolean> => {
    const crds = foreignCrds();
    if (E.isLeft(crds)) {
      process.stdout.write(`      skipped: ServiceMonitor and Certificate: ${crds.left}\n`);
      return false;
    }
    for (const crd of crds.right) {
      await put(crd);
      const { group, names, versions } = crd.spec;
      const path = `/apis/${group}/${versions[0].name}/${names.plural}`;
      await until(`${names.kind} is served`, async () => (await level.call('GET', path)).code === 200);
    }
    return true;
  };

  it('every object of every golden is taken under strict field validation', async function () {
    this.timeout(180_000);
    const judgesForeign = await withForeignCrds();
    for (const name of ['team-a', 'team-a-ci', 'team-a-system']) await namespace(name);
    const taken = new Set<string>();
    for (const each of cases)
      for (const object of renderObjects(helm ?? '', each.chart, each.namespace, each.values)) {
        if (isForeign(object) && !judgesForeign) continue;
        taken.add(object.kind);
        // Beside those of the release that is there.
        const renamed = { ...object, metadata: { ...object.metadata, name: `dry-${object.metadata.name}` } };
        if (object.kind === 'Pod') renamed.spec = { ...object.spec, serviceAccountName: 'default' };
        const { code, body } = await level.call(
          'POST',
          `${collectionOf(renamed)}?dryRun=All&fieldValidation=Strict`,
          renamed,
        );
        expect([each.name, object.kind, object.metadata.name, code, body.message]).to.deep.equal([
          each.name,
          object.kind,
          object.metadata.name,
          201,
          undefined,
        ]);
      }
    if (judgesForeign) expect([...taken]).to.include.members(['ServiceMonitor', 'Certificate']);
  });

  it('pods of both charts pass the restricted Pod Security Standard', async () => {
    await namespace('restricted', { 'pod-security.kubernetes.io/enforce': 'restricted' });
    const specs = cases.flatMap((each) =>
      renderObjects(helm ?? '', each.chart, 'restricted', each.values).flatMap((object) =>
        object.kind === 'Pod'
          ? [object.spec]
          : object.kind === 'Deployment' || object.kind === 'Runtime'
            ? [object.spec.template.spec]
            : [],
      ),
    );
    expect(specs.length).to.be.greaterThan(6);
    for (const { serviceAccountName: _, priorityClassName: __, ...spec } of specs) {
      const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'pod', namespace: 'restricted' }, spec };
      const { code, body } = await level.call('POST', `${collectionOf(pod)}?dryRun=All`, pod);
      expect([code, body.message]).to.deep.equal([201, undefined]);
    }
  });

  it('the operator of a release for all namespaces may do what its golden says', async () => {
    const token = await accountToken(level, 'kruntimes-system', 'kruntimes-controller');
    const elsewhere = await rightsOf(level, token, 'default');
    expect(elsewhere).to.deep.equal([
      'authentication.k8s.io/tokenreviews: create',
      'events: create',
      'kruntimes.io/runs/status: patch',
      'kruntimes.io/runs: get list watch patch delete',
      'kruntimes.io/runtimes/finalizers: update',
      'kruntimes.io/runtimes/status: patch',
      'kruntimes.io/runtimes: get list watch',
      'pods/status: patch',
      'pods: list watch create patch delete',
      'rbac.authorization.k8s.io/rolebindings[kruntimes-runtimed]: create patch delete',
      'rbac.authorization.k8s.io/roles[kruntimes-runtimed]: create patch delete',
      'serviceaccounts[kruntimes-runtimed]: create patch',
    ]);
    const own = await rightsOf(level, token, 'kruntimes-system');
    expect(own.filter((line) => !elsewhere.includes(line))).to.deep.equal([
      'coordination.k8s.io/leases: create',
      'coordination.k8s.io/leases[kruntimes-controller]: get list watch patch',
      'secrets: create',
      'secrets[kruntimes-sessions-ca]: get list watch update',
    ]);
  });

  describe('a second release, for namespace team-b alone', () => {
    before(async () => {
      await namespace('team-b');
      run(
        'install',
        'b',
        chart('kruntimes'),
        '--namespace=team-b-system',
        '--create-namespace',
        '--set=crds.install=false,watchNamespaces={team-b}',
      );
    });

    it('may review tokens everywhere and nothing else outside of team-b', async () => {
      const token = await accountToken(level, 'team-b-system', 'kruntimes-controller');
      expect(await rightsOf(level, token, 'default')).to.deep.equal([
        'authentication.k8s.io/tokenreviews: create',
      ]);
      expect(await rightsOf(level, token, 'team-b')).to.include('pods: list watch create patch delete');
    });

    it('serves team-b with those rights, and leaves other namespaces alone', async () => {
      const deployment = renderObjects(helm ?? '', 'kruntimes', 'team-b-system', {
        crds: { install: false },
        watchNamespaces: ['team-b'],
      }).find(({ kind }) => kind === 'Deployment');
      const args: ReadonlyArray<string> = deployment?.spec.template.spec.containers[0].args.map(
        (arg: string) => arg.replace(/^(--\w+-listen)=.*:(\d+)$/, `$1=unix:${join(folder, '$2.sock')}`),
      );
      const token = await accountToken(level, 'team-b-system', 'kruntimes-controller');
      const operator = spawn(
        process.execPath,
        [
          fileURLToPath(new URL('../../dist/controller.js', import.meta.url)),
          `--kubeconfig=${level.kubeconfig('b', token)}`,
          ...args,
        ],
        { stdio: ['ignore', 'pipe', 'inherit'] },
      );
      operators.push(operator);
      let log = '';
      operator.stdout.on('data', (chunk: Buffer) => {
        log += chunk.toString();
      });
      for (const where of ['default', 'team-b'])
        await put({
          apiVersion: 'kruntimes.io/v1alpha1',
          kind: 'Runtime',
          metadata: { name: 'bash', namespace: where },
          spec: {
            replicas: 1,
            template: { spec: { containers: [{ name: 'runtime', image: 'kruntimes-bash-runtime' }] } },
          },
        });
      const podsIn = async (where: string): Promise<ReadonlyArray<Body>> =>
        (await level.call('GET', `/api/v1/namespaces/${where}/pods`)).body.items;
      await until(`the pod of team-b is made\n${log}`, async () => (await podsIn('team-b')).length === 1);
      const [pod] = await podsIn('team-b');
      const runtimed = pod.spec.containers.find(({ name }: Body) => name === 'runtimed');
      expect(runtimed.env.find(({ name }: Body) => name === 'KRUNTIME_OPERATOR_URL').value).to.equal(
        'https://kruntimes-sessions.team-b-system.svc:9443',
      );
      expect(await podsIn('default')).to.deep.equal([]);
      expect(log.split('\n').filter((line) => /forbidden/i.test(line))).to.deep.equal([]);
      const { code } = await level.call(
        'GET',
        '/apis/coordination.k8s.io/v1/namespaces/team-b-system/leases/kruntimes-controller',
      );
      expect(code).to.equal(200);
    });
  });

  describe('the admission policy', () => {
    const bound = async (pod: Body): Promise<string> => {
      const { metadata, spec } = pod;
      const { code, body } = await level.call(
        'POST',
        `/api/v1/namespaces/${metadata.namespace}/serviceaccounts/${spec.serviceAccountName}/token`,
        {
          apiVersion: 'authentication.k8s.io/v1',
          kind: 'TokenRequest',
          spec: { boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: metadata.name, uid: metadata.uid } },
        },
      );
      if (code !== 201) throw new Error(body.message);
      return body.status.token;
    };
    const podNamed = (name: string, where = 'team') =>
      put({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name, namespace: where },
        spec: { serviceAccountName: 'kruntimes-runtimed', containers: [{ name: 'runtime', image: 'none' }] },
      });
    const grant = async (where: string): Promise<void> => {
      const metadata = { name: 'kruntimes-runtimed', namespace: where };
      await account(metadata);
      await put({
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'Role',
        metadata,
        rules: RUNTIMED_RULES,
      });
      await put({
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'RoleBinding',
        metadata,
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'kruntimes-runtimed' },
        subjects: [{ kind: 'ServiceAccount', ...metadata }],
      });
    };
    const runPath = (name: string, where = 'team'): string =>
      `${runtimesPath}/namespaces/${where}/runs/${name}`;
    const status = async (
      token: string | undefined,
      name: string,
      patch: Body,
      where = 'team',
    ): Promise<Readonly<{ code: number; message: string; body: Body }>> => {
      const { code, body } = await level.call(
        'PATCH',
        `${runPath(name, where)}/status`,
        { status: patch },
        { type: 'application/merge-patch+json', ...(token === undefined ? {} : { token }) },
      );
      return { code, message: body.message ?? '', body };
    };
    /** A Run that is Scheduled on a pod. */
    const runOn = async (name: string, pod: Body | undefined, where = 'team'): Promise<void> => {
      await put({
        apiVersion: 'kruntimes.io/v1alpha1',
        kind: 'Run',
        metadata: { name, namespace: where },
        spec: { runtime: 'bash', source: { inline: ':' } },
      });
      if (pod === undefined) return;
      const { metadata } = pod;
      const assigned = {
        phase: 'Scheduled',
        attempt: 1,
        assignedPod: metadata.name,
        assignedPodUID: metadata.uid,
      };
      const { code, message } = await status(undefined, name, assigned, where);
      expect([code, message]).to.deep.equal([200, '']);
    };
    let one: Body;
    let two: Body;
    let token: string;

    before(async () => {
      await namespace('team');
      await namespace('team-c');
      await grant('team');
      await grant('team-c');
      one = await podNamed('one');
      two = await podNamed('two');
      token = await bound(one);
      await runOn('probe', two);
      await until('the policy is in force', async () =>
        (await status(token, 'probe', { message: 'not mine' })).message.includes('is assigned to pod two'),
      );
    });

    it("a pod's token writes the status of its own Run", async () => {
      await runOn('own', one);
      expect((await status(token, 'own', { phase: 'Running' })).code).to.equal(200);
      expect((await status(token, 'own', { phase: 'Succeeded', exitCode: 0 })).code).to.equal(200);
    });

    it("not of another pod's, nor of one that waits", async () => {
      await runOn('others', two);
      const { code, message } = await status(token, 'others', { phase: 'Succeeded' });
      expect(code).to.equal(403);
      expect(message).to.contain('pod one cannot write its status: it is assigned to pod two');
      await runOn('waiting', undefined);
      const taken = await status(token, 'waiting', {
        phase: 'Scheduled',
        assignedPod: 'one',
        assignedPodUID: one.metadata.uid,
      });
      expect([taken.code, taken.message.includes('it is assigned to no pod')]).to.deep.equal([403, true]);
    });

    it('it may give its Run back, but not to another pod', async () => {
      await runOn('passed-on', one);
      const passed = await status(token, 'passed-on', {
        assignedPod: 'two',
        assignedPodUID: two.metadata.uid,
      });
      expect(passed.code).to.equal(403);
      const kept = await status(token, 'passed-on', {
        phase: 'Running',
        assignedPod: null,
        assignedPodUID: null,
      });
      expect([kept.code, kept.message.includes('may only keep it or give it back to Pending')]).to.deep.equal(
        [403, true],
      );
      const back = { phase: 'Pending', assignedPod: null, assignedPodUID: null };
      expect((await status(token, 'passed-on', back)).code).to.equal(200);
    });

    it('a token that is bound to no pod writes none', async () => {
      await runOn('unbound', one);
      const unbound = await accountToken(level, 'team', 'kruntimes-runtimed');
      const { code, message } = await status(unbound, 'unbound', { phase: 'Running' });
      expect([code, message.includes('bound to a Runtime Pod')]).to.deep.equal([403, true]);
    });

    it("a pod of the same name does not inherit its predecessor's Runs", async () => {
      const before = await podNamed('again');
      await runOn('inherited', before);
      await level.call('DELETE', '/api/v1/namespaces/team/pods/again?gracePeriodSeconds=0');
      const heir = await bound(await podNamed('again'));
      const { code, message } = await status(heir, 'inherited', { phase: 'Running' });
      expect([code, message.includes('of another uid')]).to.deep.equal([403, true]);
    });

    it("another namespace's Runs, and anything but status, are refused by RBAC", async () => {
      await runOn('elsewhere', undefined, 'team-c');
      expect((await status(token, 'elsewhere', { phase: 'Running' }, 'team-c')).code).to.equal(403);
      await runOn('spec', one);
      const patch = { type: 'application/merge-patch+json', token };
      for (const body of [{ spec: { cancelRequested: true } }, { metadata: { labels: { mine: 'yes' } } }])
        expect((await level.call('PATCH', runPath('spec'), body, patch)).code).to.equal(403);
      const { body } = await level.call(
        'PATCH',
        `${runPath('spec')}/status`,
        {
          status: { phase: 'Running' },
          spec: { cancelRequested: true },
          metadata: { labels: { mine: 'yes' } },
        },
        patch,
      );
      expect([body.status.phase, body.spec.cancelRequested, body.metadata.labels]).to.deep.equal([
        'Running',
        undefined,
        undefined,
      ]);
      for (const [method, path] of [
        ['DELETE', runPath('spec')],
        ['GET', '/api/v1/namespaces/team/secrets'],
        ['GET', '/api/v1/namespaces/team/pods'],
        ['GET', `${rbacPath}/namespaces/team/roles`],
      ] as const)
        expect([path, (await level.call(method, path, undefined, { token })).code]).to.deep.equal([
          path,
          403,
        ]);
    });

    it('the operator writes the status of every Run', async () => {
      const operator = await accountToken(level, 'kruntimes-system', 'kruntimes-controller');
      await runOn('by-operator', two);
      expect((await status(operator, 'by-operator', { phase: 'Running' })).code).to.equal(200);
    });
  });

  it('helm upgrade upgrades the CRDs, helm uninstall keeps them with all objects, helm install takes them up again', async () => {
    const changed = join(folder, 'chart');
    cpSync(chart('kruntimes'), changed, { recursive: true });
    const file = join(changed, 'files/crds/kruntimes.io_runs.yaml');
    const text = readFileSync(file, 'utf8');
    writeFileSync(file, text.replace('shortNames: [rn]', 'shortNames: [rn, newname]'));
    run('upgrade', 'kruntimes', changed, '--namespace=kruntimes-system', '--set=replicas=3');
    const crd = async (): Promise<Body> => (await level.call('GET', crdPath('runs'))).body;
    expect((await crd()).spec.names.shortNames).to.deep.equal(['rn', 'newname']);
    const { body } = await level.call(
      'GET',
      '/apis/apps/v1/namespaces/kruntimes-system/deployments/kruntimes-controller',
    );
    expect(body.spec.replicas).to.equal(3);

    await put({
      apiVersion: 'kruntimes.io/v1alpha1',
      kind: 'Run',
      metadata: { name: 'survivor', namespace: 'default' },
      spec: { runtime: 'bash', source: { inline: ':' } },
    });
    const { uid } = (await crd()).metadata;
    run('uninstall', 'kruntimes', '--namespace=kruntimes-system');
    expect((await crd()).metadata.uid).to.equal(uid);
    expect((await crd()).metadata.deletionTimestamp).to.equal(undefined);
    expect((await level.call('GET', `${runtimesPath}/namespaces/default/runs/survivor`)).code).to.equal(200);
    expect(
      (await level.call('GET', `${rbacPath}/clusterroles/kruntimes-controller.kruntimes-system`)).code,
    ).to.equal(404);

    run('install', 'kruntimes', chart('kruntimes'), '--namespace=kruntimes-system');
    expect((await crd()).metadata.uid).to.equal(uid);
    expect((await crd()).spec.names.shortNames).to.deep.equal(['rn']);
  });
});
