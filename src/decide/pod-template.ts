/**
 * The Pod of a Runtime: its template with what kruntimes adds, and the hash that says when pods must be replaced.
 *
 * The template's own fields are kept as they are, but for shareProcessNamespace, by which every Run could read
 * runtimed's tokens in /proc; the CRD refuses it, and a Runtime from before does not get it. Added: the runtimed
 * container, the workspace volume in both, the tokens in runtimed alone, labels, annotations and the readiness gate. User entries with our names are replaced.
 */
import { createHash } from 'node:crypto';

import {
  type ArtifactStoreSettings,
  credentialsSecret,
  MAX_PULL_SECRETS,
  MAX_TOLERATIONS,
  type RecordedStore,
} from '../model/artifact-store.js';
import {
  ARTIFACT_VOLUME,
  CAPACITY_PREFIX,
  REVISION_KEY,
  RUNTIME_KEY,
  RUNTIME_LABEL,
  RUNTIMED_CONTAINER,
  RUNTIMED_READY,
  SESSION_AUDIENCE,
  STATE_PATH,
  STATE_VOLUME,
  WORKSPACE_PATH,
  WORKSPACE_VOLUME,
} from '../model/names.js';
import type { Container, RuntimeSpec } from '../model/runtime.js';
import { podCapacity, pullSecrets, serverPort, tolerationsOf } from '../model/runtime.js';
import type { RuntimeRecord } from '../model/runtime-record.js';
import { sortedJson } from '../model/sorted-json.js';
import { GIT_VOLUME, gitParts } from './git/pod-parts.js';
import { accountOf } from './grants.js';

/** What every pod is told of the operator. */
export type PodSettings = Readonly<{
  /** Image of runtimed where the Runtime names none. */
  daemonImage: string;
  /** `https://host:port` of the operator's session server. */
  operatorUrl: string;
  /** PEM text of the CA that signs its certificate. */
  operatorCa: string;
  /** Names this installation wherever several may meet; unknown before it leads, and no part of a revision. */
  installation?: string;
  /** Store of Runtimes that name none; without it their Runs cannot keep artifacts. */
  defaultArtifactStore?: ArtifactStoreSettings;
}>;

const SESSION_VOLUME = 'kruntimes-session';
const API_VOLUME = 'kruntimes-api';
const SESSION_PATH = '/var/run/secrets/kruntimes.io/session';
const API_PATH = '/var/run/secrets/kruntimes.io/api';
/** Seconds a projected token lives; the kubelet renews it at 80 %. 600 is the API's minimum. */
const TOKEN_SECONDS = 3600;
const STORE_KEY_VOLUME = 'kruntimes-artifact-store-key';
const STORE_PATH = '/var/lib/kruntimes/artifacts';
const STORE_KEY_PATH = '/var/run/secrets/kruntimes.io/artifact-store';
const OUR_VOLUMES = new Set([
  WORKSPACE_VOLUME,
  STATE_VOLUME,
  ARTIFACT_VOLUME,
  SESSION_VOLUME,
  API_VOLUME,
  STORE_KEY_VOLUME,
  GIT_VOLUME,
]);

const imageOf = (spec: RuntimeSpec, settings: PodSettings): string =>
  spec.daemonImage || settings.daemonImage;

const literal = (name: string, value: string) => ({ name, value });
const field = (name: string, fieldPath: string) => ({ name, valueFrom: { fieldRef: { fieldPath } } });

/** Where Runs of this Runtime keep their artifacts. */
export const storeOf = (spec: RuntimeSpec, settings: PodSettings): ArtifactStoreSettings | undefined =>
  spec.artifactStore ?? settings.defaultArtifactStore;

/** What runtimed, and nobody else in the pod, gets of the store: environment, mounts and volumes. */
export const storeParts = (store: RecordedStore | undefined) => {
  if (store === undefined) return { env: [], mounts: [], volumes: [] };
  const secretName = credentialsSecret(store);
  const hasClaim = store.driver === 'filesystem';
  return {
    env: [
      literal('KRUNTIME_ARTIFACT_STORE', JSON.stringify(store)),
      ...(hasClaim ? [literal('KRUNTIME_ARTIFACT_STORE_DIR', STORE_PATH)] : []),
      ...(secretName === undefined ? [] : [literal('KRUNTIME_ARTIFACT_CREDENTIALS_DIR', STORE_KEY_PATH)]),
    ],
    mounts: [
      ...(hasClaim ? [{ name: ARTIFACT_VOLUME, mountPath: STORE_PATH }] : []),
      ...(secretName === undefined
        ? []
        : [{ name: STORE_KEY_VOLUME, mountPath: STORE_KEY_PATH, readOnly: true }]),
    ],
    volumes: [
      ...(hasClaim
        ? [
            {
              name: ARTIFACT_VOLUME,
              persistentVolumeClaim: { claimName: store.filesystem.volumeClaimName },
            },
          ]
        : []),
      ...(secretName === undefined
        ? []
        : [{ name: STORE_KEY_VOLUME, secret: { secretName, defaultMode: 0o440 } }]),
    ],
  };
};

/**
 * The store as Runs record it, with what a pod needs to come back to it when the Runtime is gone: the account whose
 * identity opens a bucket, where no Secret does, the Secrets that images are pulled with, and the taints of the nodes.
 */
export const recordedStore = ({ spec }: RuntimeRecord, settings: PodSettings): RecordedStore | undefined => {
  const store = storeOf(spec, settings);
  if (store === undefined) return undefined;
  const needsIdentity = store.driver !== 'filesystem' && credentialsSecret(store) === undefined;
  const imagePullSecrets = pullSecrets(spec.template).slice(0, MAX_PULL_SECRETS);
  const tolerations = tolerationsOf(spec.template).slice(0, MAX_TOLERATIONS);
  return {
    ...store,
    ...(needsIdentity ? { serviceAccountName: accountOf(spec.template) } : {}),
    ...(imagePullSecrets.length === 0 ? {} : { imagePullSecrets }),
    ...(tolerations.length === 0 ? {} : { tolerations }),
  };
};

/**
 * Ten hex digits over everything a pod is made from, the operator's address and CA included: a pod that was told others
 * could never open a session again.
 */
export const revisionOf = (spec: RuntimeSpec, settings: PodSettings): string =>
  createHash('sha256')
    .update(
      sortedJson({
        template: spec.template,
        port: serverPort(spec),
        capacity: podCapacity(spec),
        workspace: spec.workspace,
        logs: spec.logs,
        artifactStore: storeOf(spec, settings),
        git: spec.git,
        daemonImage: imageOf(spec, settings),
        operatorUrl: settings.operatorUrl,
        operatorCa: settings.operatorCa,
      }),
    )
    .digest('hex')
    .slice(0, 10);

/** The user's entries less those whose names are ours, then ours. */
const merged = <A extends Readonly<{ name: string }>>(
  theirs: ReadonlyArray<A> | undefined,
  ours: ReadonlyArray<A>,
) => {
  const names = new Set(ours.map(({ name }) => name));
  return [...(theirs ?? []).filter(({ name }) => !names.has(name)), ...ours];
};

const workspaceMount = { name: WORKSPACE_VOLUME, mountPath: WORKSPACE_PATH };

const runtimeContainer = (container: Container, port: number) => ({
  ...container,
  env: merged(container.env, [
    literal('KRUNTIME_LISTEN_ADDRESS', `127.0.0.1:${port}`),
    literal('KRUNTIME_WORK_DIR', WORKSPACE_PATH),
  ]),
  volumeMounts: merged(
    container.volumeMounts?.filter(({ name }) => !OUR_VOLUMES.has(name)),
    [workspaceMount],
  ),
});

/** Tokens, records, the store and its key are nobody's but runtimed's. */
const RUNTIMED_ONLY = new Set([...OUR_VOLUMES].filter((name) => name !== WORKSPACE_VOLUME));

const withoutVolumes = (container: Container, names: ReadonlySet<string>): Container =>
  container.volumeMounts === undefined
    ? container
    : { ...container, volumeMounts: container.volumeMounts.filter(({ name }) => !names.has(name)) };

const probe = (path: string) => ({ httpGet: { path, port: 9094 }, periodSeconds: 5, timeoutSeconds: 5 });

/** What a pod of ours needs to open a session. */
export const sessionEnv = (settings: PodSettings) => [
  literal('KRUNTIME_OPERATOR_URL', settings.operatorUrl),
  literal('KRUNTIME_OPERATOR_CA', settings.operatorCa),
  literal('KRUNTIME_SESSION_TOKEN_FILE', `${SESSION_PATH}/token`),
  field('KRUNTIME_POD_NAME', 'metadata.name'),
  field('KRUNTIME_POD_NAMESPACE', 'metadata.namespace'),
  field('KRUNTIME_POD_UID', 'metadata.uid'),
  ...(settings.installation === undefined ? [] : [literal('KRUNTIME_INSTALLATION', settings.installation)]),
];
export const SESSION_MOUNT = { name: SESSION_VOLUME, mountPath: SESSION_PATH, readOnly: true };
/** The token that a pod proves itself with, and that is good for nothing else. */
export const SESSION_TOKEN_VOLUME = {
  name: SESSION_VOLUME,
  projected: {
    defaultMode: 0o440,
    sources: [
      {
        serviceAccountToken: { path: 'token', audience: SESSION_AUDIENCE, expirationSeconds: TOKEN_SECONDS },
      },
    ],
  },
};

/** Restricted Pod Security. */
export const RESTRICTED = {
  runAsNonRoot: true,
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
  seccompProfile: { type: 'RuntimeDefault' },
};

const runtimedContainer = (runtime: RuntimeRecord, settings: PodSettings) => ({
  name: RUNTIMED_CONTAINER,
  image: imageOf(runtime.spec, settings),
  imagePullPolicy: 'IfNotPresent',
  env: [
    literal('KRUNTIME_RUNTIME', runtime.name),
    literal('KRUNTIME_CAPACITY', JSON.stringify(podCapacity(runtime.spec))),
    literal('KRUNTIME_WORK_DIR', WORKSPACE_PATH),
    literal('KRUNTIME_STATE_DIR', STATE_PATH),
    ...(runtime.spec.logs === undefined
      ? []
      : [literal('KRUNTIME_LOG_BOUNDS', JSON.stringify(runtime.spec.logs))]),
    literal('KRUNTIME_SERVER_ADDRESS', `127.0.0.1:${serverPort(runtime.spec)}`),
    literal('KRUNTIME_LOGS_ADDRESS', '127.0.0.1:9093'),
    literal('KRUNTIME_PROBES_ADDRESS', '0.0.0.0:9094'),
    literal('KRUNTIME_METRICS_ADDRESS', '0.0.0.0:9090'),
    literal('KRUNTIME_SERVICE_ACCOUNT_DIR', API_PATH),
    ...sessionEnv(settings),
    ...storeParts(recordedStore(runtime, settings)).env,
    ...gitParts(runtime.spec.git).env,
  ],
  ports: [
    { name: 'krt-probes', containerPort: 9094 },
    { name: 'krt-metrics', containerPort: 9090 },
  ],
  readinessProbe: probe('/readyz'),
  livenessProbe: { ...probe('/healthz'), failureThreshold: 6 },
  resources: { requests: { cpu: '20m', memory: '64Mi' } },
  securityContext: RESTRICTED,
  volumeMounts: [
    workspaceMount,
    { name: STATE_VOLUME, mountPath: STATE_PATH },
    SESSION_MOUNT,
    { name: API_VOLUME, mountPath: API_PATH, readOnly: true },
    ...storeParts(storeOf(runtime.spec, settings)).mounts,
    ...gitParts(runtime.spec.git).mounts,
  ],
});

const volumes = (runtime: RuntimeRecord, settings: PodSettings) => [
  ...(runtime.spec.template.spec.volumes ?? []).filter(({ name }) => !OUR_VOLUMES.has(name)),
  { name: WORKSPACE_VOLUME, ...(runtime.spec.workspace ?? { emptyDir: {} }) },
  { name: STATE_VOLUME, emptyDir: {} },
  ...storeParts(storeOf(runtime.spec, settings)).volumes,
  ...gitParts(runtime.spec.git).volumes,
  SESSION_TOKEN_VOLUME,
  {
    name: API_VOLUME,
    projected: {
      defaultMode: 0o440,
      sources: [
        { serviceAccountToken: { path: 'token', expirationSeconds: TOKEN_SECONDS } },
        { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
        { downwardAPI: { items: [{ path: 'namespace', fieldRef: { fieldPath: 'metadata.namespace' } }] } },
      ],
    },
  },
];

/** The Pod to create. `name` is chosen by the decision, so that its appearance in the cache can be awaited. */
export const podOf = (
  runtime: RuntimeRecord,
  name: string,
  revision: string,
  settings: PodSettings,
): unknown => {
  const { template } = runtime.spec;
  const [first, ...others] = template.spec.containers;
  const podSpec: Readonly<Record<string, unknown>> = template.spec;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: runtime.namespace,
      labels: {
        ...template.metadata?.labels,
        [RUNTIME_LABEL]: runtime.name,
        [RUNTIME_KEY]: runtime.name,
        [REVISION_KEY]: revision,
      },
      annotations: {
        ...template.metadata?.annotations,
        ...Object.fromEntries(
          Object.entries(podCapacity(runtime.spec)).map(([resource, amount]) => [
            `${CAPACITY_PREFIX}${resource}`,
            String(amount),
          ]),
        ),
      },
      ownerReferences: [
        {
          apiVersion: 'kruntimes.io/v1alpha1',
          kind: 'Runtime',
          name: runtime.name,
          uid: runtime.uid,
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    spec: {
      automountServiceAccountToken: false,
      ...podSpec,
      ...(podSpec.shareProcessNamespace === undefined ? {} : { shareProcessNamespace: false }),
      serviceAccountName: accountOf(template),
      securityContext: { fsGroup: 65532, ...(podSpec.securityContext as object | undefined) },
      readinessGates: [
        ...((podSpec.readinessGates as ReadonlyArray<unknown> | undefined) ?? []),
        { conditionType: RUNTIMED_READY },
      ],
      ...(template.spec.initContainers === undefined
        ? {}
        : { initContainers: template.spec.initContainers.map((c) => withoutVolumes(c, RUNTIMED_ONLY)) }),
      containers: [
        ...(first ? [runtimeContainer(first, serverPort(runtime.spec))] : []),
        ...others
          .filter(({ name: other }) => other !== RUNTIMED_CONTAINER)
          .map((other) => withoutVolumes(other, RUNTIMED_ONLY)),
        runtimedContainer(runtime, settings),
      ],
      volumes: volumes(runtime, settings),
    },
  };
};
