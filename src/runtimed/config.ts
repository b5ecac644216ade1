/** runtimed's settings, all from its environment (ARCHITECTURE.md, "Environment of the pod's containers"). */
import { join } from 'node:path';
import * as E from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';

import { type ArtifactLimits, DEFAULT_LIMITS } from '../decide/artifacts/rules.js';
import type { Folders } from '../decide/sidecar/environment.js';
import { Address } from '../io/address.js';
import { RecordedStore } from '../model/artifact-store.js';
import { DEFAULT_GIT_LIMITS, type GitLimits, GitOrder } from '../model/git.js';
import { DEFAULT_LOG_BOUNDS, type LogBounds, LogSettings } from '../model/log-bounds.js';
import { Amounts } from '../model/run.js';

const Filled = new t.Type<string, string, unknown>(
  'Filled',
  t.string.is,
  (u, context) => (typeof u === 'string' && u !== '' ? t.success(u) : t.failure(u, context, 'is not set')),
  t.identity,
);

const OperatorUrl = new t.Type<string, string, unknown>(
  'OperatorUrl',
  t.string.is,
  (u, context) =>
    typeof u === 'string' && (u.startsWith('unix:/') || /^https?:\/\/[^/]+\/?$/.test(u))
      ? t.success(u)
      : t.failure(u, context, 'is not https://host:port, http://host:port or unix:/path'),
  t.identity,
);

const AbsolutePath = new t.Type<string, string, unknown>(
  'AbsolutePath',
  t.string.is,
  (u, context) =>
    typeof u === 'string' && u.startsWith('/')
      ? t.success(u)
      : t.failure(u, context, 'is not an absolute path'),
  t.identity,
);

const Capacity = new t.Type<Amounts, string, unknown>(
  'Capacity',
  Amounts.is,
  (u, context) => {
    const problem = 'is not a JSON object of resource names and whole numbers, such as {"runs":4}';
    try {
      const amounts = Amounts.decode(JSON.parse(String(u)));
      return E.isRight(amounts) ? amounts : t.failure(u, context, problem);
    } catch {
      return t.failure(u, context, problem);
    }
  },
  JSON.stringify,
);

/** JSON text of what `codec` reads. */
const json = <A>(
  name: string,
  codec: t.Type<A, unknown, unknown>,
  problem: string,
): t.Type<A, string, unknown> =>
  new t.Type<A, string, unknown>(
    name,
    codec.is,
    (u, context) => {
      try {
        const decoded = codec.decode(JSON.parse(String(u)));
        return E.isRight(decoded) ? decoded : t.failure(u, context, problem);
      } catch {
        return t.failure(u, context, problem);
      }
    },
    JSON.stringify,
  );

const Limits = t.partial({
  count: t.number,
  bytesEach: t.number,
  bytesInAll: t.number,
  entries: t.number,
  depth: t.number,
});

/** What every pod of ours needs: its session and its store. */
const PodEnvironment = t.intersection([
  t.type({
    KRUNTIME_OPERATOR_URL: OperatorUrl,
    KRUNTIME_SESSION_TOKEN_FILE: AbsolutePath,
    KRUNTIME_POD_NAME: Filled,
    KRUNTIME_POD_NAMESPACE: Filled,
    KRUNTIME_POD_UID: Filled,
  }),
  t.partial({
    KRUNTIME_OPERATOR_CA: t.string,
    KRUNTIME_INSTALLATION: t.string,
    KRUNTIME_ARTIFACT_STORE: json(
      'ArtifactStore',
      RecordedStore,
      'is not a store as in spec.artifactStore of a Runtime',
    ),
    KRUNTIME_ARTIFACT_STORE_DIR: AbsolutePath,
    KRUNTIME_ARTIFACT_CREDENTIALS_DIR: AbsolutePath,
  }),
]);

const Environment = t.intersection([
  PodEnvironment,
  t.type({
    KRUNTIME_WORK_DIR: AbsolutePath,
    KRUNTIME_STATE_DIR: AbsolutePath,
    KRUNTIME_SERVER_ADDRESS: Address,
    KRUNTIME_LOGS_ADDRESS: Address,
    KRUNTIME_PROBES_ADDRESS: Address,
    KRUNTIME_METRICS_ADDRESS: Address,
    KRUNTIME_SERVICE_ACCOUNT_DIR: AbsolutePath,
    KRUNTIME_RUNTIME: Filled,
    KRUNTIME_CAPACITY: Capacity,
    KUBERNETES_SERVICE_HOST: Filled,
    KUBERNETES_SERVICE_PORT: Filled,
  }),
  t.partial({
    KRUNTIME_GIT_CREDENTIALS_DIR: AbsolutePath,
    KRUNTIME_GIT: json('Git', GitOrder, 'is not a JSON object of hosts and limits'),
    KRUNTIME_LOG_BOUNDS: json(
      'LogBounds',
      LogSettings,
      'is not a JSON object of numbers, such as {"headBytes":1048576}',
    ),
    KRUNTIME_ARTIFACT_LIMITS: json('ArtifactLimits', Limits, 'is not a JSON object of limits and numbers'),
  }),
]);

/** What the pod that only removes artifacts is told. */
export type CleanupConfig = Readonly<{
  operator: Readonly<{ url: string; ca: string; tokenFile: string }>;
  pod: Readonly<{ name: string; namespace: string; uid: string }>;
  installation: string | undefined;
  artifacts: Readonly<{
    store: RecordedStore;
    /** Where the claim of a filesystem store is mounted. */
    folder: string;
    credentialsFolder: string | undefined;
  }>;
}>;

export type Config = Readonly<{
  folders: Folders;
  serverAddress: Address;
  logsAddress: Address;
  probesAddress: Address;
  metricsAddress: Address;
  operator: Readonly<{ url: string; ca: string; tokenFile: string }>;
  api: Readonly<{ serviceAccountDir: string; host: string; port: string }>;
  pod: Readonly<{ name: string; namespace: string; uid: string }>;
  /** Names the operator's installation where several may meet: in a bucket. */
  installation: string | undefined;
  runtime: string;
  capacity: Amounts;
  /** Of each attempt's log. */
  logBounds: LogBounds;
  artifacts: Readonly<{
    /** Undefined: the Runtime has no store. */
    store: RecordedStore | undefined;
    /** Where the claim of a filesystem store is mounted. */
    folder: string;
    credentialsFolder: string | undefined;
    limits: ArtifactLimits;
  }>;
  git: Readonly<{
    /** Where mirrors are kept: in the state folder, out of reach for Runs. */
    folder: string;
    /** By host, the folder of its Secret. */
    credentials: ReadonlyMap<string, string>;
    limits: GitLimits;
    /** Where the program is looked for. */
    path: string | undefined;
  }>;
}>;

const gitOf = (from: t.TypeOf<typeof Environment>, path: string | undefined): Config['git'] => {
  const { hosts = [], ...limits } = from.KRUNTIME_GIT ?? {};
  const secrets = from.KRUNTIME_GIT_CREDENTIALS_DIR;
  return {
    folder: join(from.KRUNTIME_STATE_DIR, 'git'),
    credentials: new Map(
      secrets === undefined ? [] : hosts.map((host, at) => [host, join(secrets, String(at))] as const),
    ),
    limits: { ...DEFAULT_GIT_LIMITS, ...limits },
    path,
  };
};

const linesOf = (errors: t.Errors): ReadonlyArray<string> =>
  errors.map(({ context, message }) => {
    const name = context.find(({ key }) => key.startsWith('K'))?.key ?? 'the environment';
    return `${name} ${message ?? 'is not set or has a wrong form'}`;
  });

/** What both kinds of pod are told. */
const ofPod = (from: t.TypeOf<typeof PodEnvironment>) => ({
  operator: {
    url: from.KRUNTIME_OPERATOR_URL,
    ca: from.KRUNTIME_OPERATOR_CA ?? '',
    tokenFile: from.KRUNTIME_SESSION_TOKEN_FILE,
  },
  pod: {
    name: from.KRUNTIME_POD_NAME,
    namespace: from.KRUNTIME_POD_NAMESPACE,
    uid: from.KRUNTIME_POD_UID,
  },
  installation: from.KRUNTIME_INSTALLATION,
  artifacts: {
    store: from.KRUNTIME_ARTIFACT_STORE,
    folder: from.KRUNTIME_ARTIFACT_STORE_DIR ?? '',
    credentialsFolder: from.KRUNTIME_ARTIFACT_CREDENTIALS_DIR,
  },
});

const lacksFolder = (from: t.TypeOf<typeof PodEnvironment>): boolean =>
  from.KRUNTIME_ARTIFACT_STORE?.driver === 'filesystem' && from.KRUNTIME_ARTIFACT_STORE_DIR === undefined;
const NO_FOLDER = ['KRUNTIME_ARTIFACT_STORE_DIR is not set'];

/** The settings of the pod that only removes artifacts, or what is wrong with them. */
export const readCleanupConfig = (env: NodeJS.ProcessEnv): E.Either<ReadonlyArray<string>, CleanupConfig> => {
  const decoded = PodEnvironment.decode(env);
  if (E.isLeft(decoded)) return E.left(linesOf(decoded.left));
  if (lacksFolder(decoded.right)) return E.left(NO_FOLDER);
  const { artifacts, ...others } = ofPod(decoded.right);
  const { store } = artifacts;
  return store === undefined
    ? E.left(['KRUNTIME_ARTIFACT_STORE is not set'])
    : E.right({ ...others, artifacts: { ...artifacts, store } });
};

/** The settings, or one line per variable that is wrong. Values are not repeated. */
export const readConfig = (env: NodeJS.ProcessEnv): E.Either<ReadonlyArray<string>, Config> => {
  const decoded = Environment.decode(env);
  if (E.isLeft(decoded)) return E.left(linesOf(decoded.left));
  const from = decoded.right;
  if (lacksFolder(from)) return E.left(NO_FOLDER);
  const { artifacts, ...others } = ofPod(from);
  return E.right({
    ...others,
    folders: { work: from.KRUNTIME_WORK_DIR, state: from.KRUNTIME_STATE_DIR },
    serverAddress: from.KRUNTIME_SERVER_ADDRESS,
    logsAddress: from.KRUNTIME_LOGS_ADDRESS,
    probesAddress: from.KRUNTIME_PROBES_ADDRESS,
    metricsAddress: from.KRUNTIME_METRICS_ADDRESS,
    api: {
      serviceAccountDir: from.KRUNTIME_SERVICE_ACCOUNT_DIR,
      host: from.KUBERNETES_SERVICE_HOST,
      port: from.KUBERNETES_SERVICE_PORT,
    },
    runtime: from.KRUNTIME_RUNTIME,
    capacity: from.KRUNTIME_CAPACITY,
    logBounds: { ...DEFAULT_LOG_BOUNDS, ...from.KRUNTIME_LOG_BOUNDS },
    artifacts: {
      ...artifacts,
      limits: { ...DEFAULT_LIMITS, ...from.KRUNTIME_ARTIFACT_LIMITS },
    },
    git: gitOf(from, env.PATH),
  });
};
