import { expect } from 'chai';

import { type PodSettings, podOf, revisionOf } from '../../src/decide/pod-template.js';
import type { ArtifactStoreSettings, RecordedStore } from '../../src/model/artifact-store.js';
import type { RuntimeSpec } from '../../src/model/runtime.js';
import { aRuntime } from '../support/builders.js';

const settings: PodSettings = {
  daemonImage: 'kruntimes-runtimed:1',
  operatorUrl: 'https://kruntimes-sessions.kruntimes.svc:9443',
  operatorCa: 'PEM',
};

type Entry = Readonly<{ name: string; [key: string]: unknown }>;
type Mounted = Entry & Readonly<{ volumeMounts?: ReadonlyArray<Entry>; env?: ReadonlyArray<Entry> }>;
type MadePod = Readonly<{
  metadata: Readonly<{
    labels: Readonly<Record<string, string>>;
    annotations: Readonly<Record<string, string>>;
    ownerReferences: ReadonlyArray<unknown>;
  }>;
  spec: Readonly<{
    containers: ReadonlyArray<Mounted>;
    initContainers?: ReadonlyArray<Mounted>;
    volumes: ReadonlyArray<Entry>;
    [key: string]: unknown;
  }>;
}>;

type PodTemplate = RuntimeSpec['template'];
const image = 'kruntimes-bash-runtime';
/** A spec whose template has fields that we do not know of, too. */
const spec = (
  podSpec: Readonly<Record<string, unknown>> = {},
  rest: Partial<RuntimeSpec> = {},
): RuntimeSpec => ({
  template: { spec: { containers: [{ name: 'runtime', image }], ...podSpec } } as PodTemplate,
  ...rest,
});
const made = (of: RuntimeSpec, with_: PodSettings = settings): MadePod =>
  podOf(aRuntime({ spec: of }), 'bash-abcde', 'r1', with_) as MadePod;
const named = <A extends Entry>(entries: ReadonlyArray<A> | undefined, name: string): A => {
  const found = entries?.filter((entry) => entry.name === name) ?? [];
  expect(found, name).to.have.length(1);
  return found[0] as A;
};
const container = (pod: MadePod, name: string): Mounted => named(pod.spec.containers, name);
const mounts = (of: Mounted): ReadonlyArray<string> => (of.volumeMounts ?? []).map(({ name }) => name);

/** Volumes that hold tokens, records, or what other Runs have stored. */
const SECRET_VOLUMES = [
  'kruntimes-session',
  'kruntimes-api',
  'kruntimes-state',
  'artifact-store',
  'kruntimes-artifact-store-key',
];
const GCS = { driver: 'gcs', gcs: { bucket: 'b', credentialsSecretName: 'key' } } as const;
const CLAIM = { driver: 'filesystem', filesystem: { volumeClaimName: 'claim' } } as const;

describe('podOf', () => {
  it('keeps every field of the template that is not ours', () => {
    const kept = {
      nodeSelector: { disk: 'fast' },
      tolerations: [{ key: 'batch', operator: 'Exists' }],
      affinity: { nodeAffinity: {} },
      imagePullSecrets: [{ name: 'pull' }],
      runtimeClassName: 'gvisor',
      terminationGracePeriodSeconds: 120,
      priorityClassName: 'low',
      hostAliases: [{ ip: '127.0.0.2', hostnames: ['a'] }],
      topologySpreadConstraints: [{ maxSkew: 1 }],
    };
    const pod = made(spec(kept));
    for (const [field, value] of Object.entries(kept)) expect(pod.spec[field], field).to.deep.equal(value);
  });

  it('keeps the template’s labels, annotations, containers, volumes and readiness gates beside ours', () => {
    const pod = made({
      template: {
        metadata: { labels: { team: 'a', runtime: 'theirs' }, annotations: { note: 'b' } },
        spec: {
          containers: [
            { name: 'runtime', image },
            { name: 'proxy', image: 'envoy' },
          ],
          initContainers: [{ name: 'warm', image: 'busybox' }],
          volumes: [{ name: 'cache' }],
          readinessGates: [{ conditionType: 'theirs/Ready' }],
        },
      } as PodTemplate,
    });
    expect(pod.metadata.labels).to.include({
      team: 'a',
      runtime: 'bash',
      'kruntimes.io/runtime': 'bash',
      'kruntimes.io/revision': 'r1',
    });
    expect(pod.metadata.annotations).to.deep.equal({ note: 'b', 'kruntimes.io/capacity.runs': '2' });
    expect(pod.spec.containers.map(({ name }) => name)).to.deep.equal(['runtime', 'proxy', 'runtimed']);
    expect(pod.spec.initContainers?.map(({ name }) => name)).to.deep.equal(['warm']);
    named(pod.spec.volumes, 'cache');
    expect(pod.spec.readinessGates).to.deep.equal([
      { conditionType: 'theirs/Ready' },
      { conditionType: 'kruntimes.io/RuntimedReady' },
    ]);
  });

  it('replaces a container and volumes that have our names', () => {
    const pod = made(
      spec({
        containers: [
          { name: 'runtime', image, volumeMounts: [{ name: 'workspace', mountPath: '/elsewhere' }] },
          { name: 'runtimed', image: 'a-spy' },
        ],
        volumes: [
          { name: 'workspace', hostPath: { path: '/' } },
          { name: 'kruntimes-state', hostPath: { path: '/' } },
        ],
      }),
    );
    expect(container(pod, 'runtimed').image).to.equal(settings.daemonImage);
    expect(named(pod.spec.volumes, 'workspace')).to.deep.equal({ name: 'workspace', emptyDir: {} });
    expect(named(pod.spec.volumes, 'kruntimes-state')).to.deep.equal({
      name: 'kruntimes-state',
      emptyDir: {},
    });
    expect(container(pod, 'runtime').volumeMounts).to.deep.equal([
      { name: 'workspace', mountPath: '/workspace' },
    ]);
  });

  for (const store of [undefined, GCS, CLAIM])
    it(`shows tokens, records and the store to runtimed alone (store: ${store?.driver ?? 'none'})`, () => {
      const greedy = {
        volumeMounts: [...SECRET_VOLUMES, 'workspace', 'mine'].map((name) => ({
          name,
          mountPath: `/x/${name}`,
        })),
      };
      const pod = made(
        spec(
          {
            containers: [
              { name: 'runtime', image, ...greedy },
              { name: 'proxy', image, ...greedy },
            ],
            initContainers: [{ name: 'warm', image, ...greedy }],
            volumes: [{ name: 'mine', emptyDir: {} }],
          },
          store === undefined ? {} : { artifactStore: store },
        ),
      );
      for (const other of [
        container(pod, 'runtime'),
        container(pod, 'proxy'),
        named(pod.spec.initContainers, 'warm'),
      ])
        expect([...mounts(other)].sort(), other.name).to.deep.equal(['mine', 'workspace']);
      expect(mounts(container(pod, 'runtimed'))).to.include.members([
        'kruntimes-session',
        'kruntimes-api',
        'kruntimes-state',
        ...(store?.driver === 'filesystem' ? ['artifact-store'] : []),
        ...(store?.driver === 'gcs' ? ['kruntimes-artifact-store-key'] : []),
      ]);
      expect(pod.spec.automountServiceAccountToken).to.equal(false);
      for (const { name } of container(pod, 'runtimed').volumeMounts ?? []) named(pod.spec.volumes, name);
    });

  it('gives the Secrets for Git to runtimed alone, each in a folder of its own, and their names to nobody', () => {
    const git = {
      credentials: [
        { host: 'GitHub.com', secretName: 'one' },
        { host: 'git.example:8443', secretName: 'two' },
      ],
      timeout: 60_000,
      maxBytes: 1_000_000,
    };
    const greedy = { volumeMounts: [{ name: 'kruntimes-git-credentials', mountPath: '/x' }] };
    const pod = made(spec({ containers: [{ name: 'runtime', image, ...greedy }] }, { git }));
    expect(mounts(container(pod, 'runtime'))).to.deep.equal(['workspace']);
    expect(mounts(container(pod, 'runtimed'))).to.include('kruntimes-git-credentials');
    const keys = ['username', 'password', 'ssh-privatekey', 'known_hosts', 'ca.crt'];
    expect(named(pod.spec.volumes, 'kruntimes-git-credentials')).to.deep.equal({
      name: 'kruntimes-git-credentials',
      projected: {
        defaultMode: 0o440,
        sources: ['one', 'two'].map((name, at) => ({
          secret: { name, optional: true, items: keys.map((key) => ({ key, path: `${at}/${key}` })) },
        })),
      },
    });
    const { env } = container(pod, 'runtimed');
    expect(JSON.parse(String(named(env, 'KRUNTIME_GIT').value))).to.deep.equal({
      hosts: ['github.com', 'git.example:8443'],
      timeoutMs: 60_000,
      maxBytes: 1_000_000,
    });
    expect(named(env, 'KRUNTIME_GIT_CREDENTIALS_DIR').value).to.equal('/var/run/secrets/kruntimes.io/git');
    expect(JSON.stringify(made(spec()))).to.not.match(/KRUNTIME_GIT|kruntimes-git/);
  });

  it('tells the Runtime Server where to listen and runtimed where to find it', () => {
    const pod = made(spec({ containers: [{ name: 'runtime', image, ports: [{ containerPort: 19091 }] }] }));
    const value = (of: string, name: string) => named(container(pod, of).env, name).value;
    expect(value('runtime', 'KRUNTIME_LISTEN_ADDRESS')).to.equal('127.0.0.1:19091');
    expect(value('runtimed', 'KRUNTIME_SERVER_ADDRESS')).to.equal('127.0.0.1:19091');
    expect(value('runtimed', 'KRUNTIME_STATE_DIR')).to.equal('/var/lib/kruntimes/state');
  });

  it('tells runtimed how much of a log to keep, where the Runtime says so', () => {
    const bounds = (of: RuntimeSpec): ReadonlyArray<unknown> =>
      (container(made(of), 'runtimed').env ?? []).filter(({ name }) => name === 'KRUNTIME_LOG_BOUNDS');
    expect(bounds(spec())).to.deep.equal([]);
    const logs = { headBytes: 4096 };
    expect(bounds(spec({}, { logs }))).to.deep.equal([
      { name: 'KRUNTIME_LOG_BOUNDS', value: '{"headBytes":4096}' },
    ]);
    expect(revisionOf(spec({}, { logs }), settings)).to.not.equal(revisionOf(spec(), settings));
  });

  it('uses the template’s own ServiceAccount and workspace where it names them', () => {
    const pod = made(
      spec({ serviceAccountName: 'builder' }, { workspace: { persistentVolumeClaim: { claimName: 'w' } } }),
    );
    expect(pod.spec.serviceAccountName).to.equal('builder');
    expect(named(pod.spec.volumes, 'workspace')).to.deep.equal({
      name: 'workspace',
      persistentVolumeClaim: { claimName: 'w' },
    });
    expect(made(spec()).spec.serviceAccountName).to.equal('kruntimes-runtimed');
  });

  it('shares no processes between containers, whatever a template from before the CRD refused it says', () => {
    expect(made(spec({ shareProcessNamespace: true })).spec.shareProcessNamespace).to.equal(false);
    expect(made(spec()).spec).to.not.have.property('shareProcessNamespace');
  });

  for (const [what, podSpec, artifactStore, expected] of [
    ['a claim as it is', {}, CLAIM, CLAIM],
    [
      'a claim with the Secrets that images are pulled with',
      { imagePullSecrets: [{ name: 'pull' }, {}, 'none', { name: 'other' }] },
      CLAIM,
      { ...CLAIM, imagePullSecrets: [{ name: 'pull' }, { name: 'other' }] },
    ],
    ['a bucket with the Secret that opens it', { serviceAccountName: 'builder' }, GCS, GCS],
    [
      'a bucket without one with the account that opens it',
      { serviceAccountName: 'builder', imagePullSecrets: [{ name: 'pull' }] },
      { driver: 'gcs', gcs: { bucket: 'b' } },
      {
        driver: 'gcs',
        gcs: { bucket: 'b' },
        serviceAccountName: 'builder',
        imagePullSecrets: [{ name: 'pull' }],
      },
    ],
    [
      'a claim with the taints that its pods put up with',
      {
        tolerations: [
          { key: 'batch', operator: 'Exists' },
          'none',
          { key: 7 },
          { effect: 'NoExecute', tolerationSeconds: 60 },
        ],
      },
      CLAIM,
      {
        ...CLAIM,
        tolerations: [
          { key: 'batch', operator: 'Exists' },
          { effect: 'NoExecute', tolerationSeconds: 60 },
        ],
      },
    ],
    [
      'sixteen of more taints, as the CRD takes no more',
      { tolerations: Array.from({ length: 20 }, (_, i) => ({ key: `t${i}` })) },
      CLAIM,
      { ...CLAIM, tolerations: Array.from({ length: 16 }, (_, i) => ({ key: `t${i}` })) },
    ],
    [
      'sixteen of more Secrets, as the CRD takes no more',
      { imagePullSecrets: Array.from({ length: 20 }, (_, i) => ({ name: `s${i}` })) },
      CLAIM,
      { ...CLAIM, imagePullSecrets: Array.from({ length: 16 }, (_, i) => ({ name: `s${i}` })) },
    ],
  ] as ReadonlyArray<
    readonly [string, Readonly<Record<string, unknown>>, ArtifactStoreSettings, RecordedStore]
  >)
    it(`has Runs record ${what}`, () => {
      const { env } = container(made(spec(podSpec, { artifactStore })), 'runtimed');
      expect(JSON.parse(String(named(env, 'KRUNTIME_ARTIFACT_STORE').value))).to.deep.equal(expected);
    });

  it('makes runtimed pass restricted Pod Security', () => {
    expect(container(made(spec()), 'runtimed').securityContext).to.deep.include({
      runAsNonRoot: true,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
      seccompProfile: { type: 'RuntimeDefault' },
    });
  });
});

describe('revisionOf', () => {
  const of = spec({}, { capacity: { resources: { runs: 4 } } });

  it('is the same for the same content, however its keys are ordered, and does not ask for replicas', () => {
    const turned = Object.fromEntries(Object.entries({ ...of, replicas: 7 }).reverse()) as RuntimeSpec;
    expect(revisionOf(turned, settings)).to.equal(revisionOf(of, settings));
    expect(revisionOf(of, settings)).to.match(/^[0-9a-f]{10}$/);
  });

  const changes: Readonly<Record<string, readonly [RuntimeSpec, PodSettings]>> = {
    image: [spec({ containers: [{ name: 'runtime', image: 'other' }] }), settings],
    'a field we do not know': [
      { ...spec({ nodeSelector: { a: 'b' } }), capacity: of.capacity },
      settings,
    ] as never,
    capacity: [{ ...of, capacity: { resources: { runs: 5 } } }, settings],
    port: [{ ...of, port: 7000 }, settings],
    workspace: [{ ...of, workspace: { emptyDir: { medium: 'Memory' } } }, settings],
    'artifact store': [{ ...of, artifactStore: GCS }, settings],
    git: [{ ...of, git: { cacheBytes: 1 } }, settings],
    'default artifact store': [of, { ...settings, defaultArtifactStore: CLAIM }],
    'image of runtimed': [{ ...of, daemonImage: 'kruntimes-runtimed:2' }, settings],
    'default image of runtimed': [of, { ...settings, daemonImage: 'kruntimes-runtimed:2' }],
    'address of the operator': [of, { ...settings, operatorUrl: 'https://elsewhere:9443' }],
  };
  for (const [what, [changed, with_]] of Object.entries(changes))
    it(`changes with: ${what}`, () => {
      expect(revisionOf(changed, with_)).to.not.equal(revisionOf(of, settings));
    });
});
