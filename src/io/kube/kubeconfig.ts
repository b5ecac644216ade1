/**
 * The kubeconfig format: which contexts are there, and what do they say?
 *
 * Read with our own decoder, because loading a client library for it costs more than the whole of krt. Files are
 * merged as kubectl merges them; relative paths in a file start at that file's folder.
 */
import { readFile } from 'node:fs/promises';
import { delimiter, dirname, resolve } from 'node:path';

import * as E from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';
import { failedPaths } from '../../model/decode-paths.js';
import type { ClusterError } from './cluster.js';

/** Where to read: some files, of which missing ones are passed over while one is there, or text. */
export type KubeconfigSource =
  | Readonly<{ paths: ReadonlyArray<string> }>
  | Readonly<{ text: string /** Only for messages and relative paths. */; file?: string }>;

/** Paths in the value of `$KUBECONFIG`, in order. */
export const kubeconfigPaths = (value: string): ReadonlyArray<string> =>
  value.split(delimiter).filter((path) => path !== '');

const nullable = <C extends t.Mixed>(codec: C) => t.union([codec, t.null]);

const ClusterEntry = t.intersection([
  t.type({ name: t.string }),
  t.partial({
    cluster: nullable(
      t.partial({
        server: t.string,
        'certificate-authority': t.string,
        'certificate-authority-data': t.string,
        'insecure-skip-tls-verify': t.boolean,
        'tls-server-name': t.string,
        'proxy-url': t.string,
      }),
    ),
  }),
]);

const UserEntry = t.intersection([
  t.type({ name: t.string }),
  t.partial({
    user: nullable(
      t.partial({
        token: t.string,
        tokenFile: t.string,
        'client-certificate': t.string,
        'client-certificate-data': t.string,
        'client-key': t.string,
        'client-key-data': t.string,
        username: t.string,
        password: t.string,
        as: t.string,
        exec: nullable(t.UnknownRecord),
        'auth-provider': nullable(t.UnknownRecord),
      }),
    ),
  }),
]);

const ContextEntry = t.intersection([
  t.type({ name: t.string }),
  t.partial({ context: nullable(t.partial({ cluster: t.string, user: t.string, namespace: t.string })) }),
]);

const KubeconfigFile = t.partial({
  'current-context': nullable(t.string),
  clusters: nullable(t.array(ClusterEntry)),
  users: nullable(t.array(UserEntry)),
  contexts: nullable(t.array(ContextEntry)),
});
type KubeconfigFile = t.TypeOf<typeof KubeconfigFile>;

/** A cluster as kubeconfig describes it; `ca` is PEM text. */
export type KubeconfigCluster = Readonly<{
  server: string;
  ca: string | undefined;
  insecureSkipTlsVerify: boolean;
  tlsServerName: string | undefined;
  proxyUrl: string | undefined;
}>;

/** A user as kubeconfig describes it, with absolute paths. */
export type KubeconfigUser = Readonly<{
  name: string;
  token?: string;
  tokenFile?: string;
  /** PEM text. */
  clientCertificate?: string;
  clientKey?: string;
  username?: string;
  password?: string;
  impersonate?: string;
  exec?: Readonly<Record<string, unknown>>;
  authProvider?: Readonly<Record<string, unknown>>;
}>;

/** A context with all it names. */
export type SelectedContext = Readonly<{
  name: string;
  namespace: string;
  clusterName: string;
  cluster: KubeconfigCluster;
  user: KubeconfigUser;
}>;

/** All files, merged. A missing file name of a reference is found out when its context is selected. */
export type Kubeconfig = Readonly<{
  /** How to call it in messages. */
  origin: string;
  currentContext: string | undefined;
  contexts: ReadonlyMap<string, Readonly<{ cluster: string; user: string; namespace: string | undefined }>>;
  clusters: ReadonlyMap<string, E.Either<ClusterError, KubeconfigCluster>>;
  users: ReadonlyMap<string, E.Either<ClusterError, KubeconfigUser>>;
}>;

const invalid = (message: string): ClusterError => ({ reason: 'InvalidKubeconfig', message });
const because = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Text → plain data. JSON is tried first where it looks like it, since it spares loading a YAML parser. */
const parse = async (text: string): Promise<unknown> => {
  if (text.trimStart().startsWith('{')) {
    try {
      return JSON.parse(text);
    } catch {
      // YAML in flow style: the parser below reads it or says what is wrong.
    }
  }
  const yaml = await import('js-yaml');
  return yaml.load(text);
};

const decodeFile = async (text: string, origin: string): Promise<E.Either<ClusterError, KubeconfigFile>> => {
  let parsed: unknown;
  try {
    parsed = await parse(text);
  } catch (error) {
    const [firstLine = ''] = because(error).split('\n');
    return E.left(invalid(`${origin} is not valid YAML: ${firstLine}`));
  }
  const decoded = KubeconfigFile.decode(parsed ?? {});
  return E.isRight(decoded)
    ? decoded
    : E.left(invalid(`${origin} is not a kubeconfig; wrong: ${failedPaths(decoded.left).join(', ')}`));
};

/** PEM text from inline base64, which wins as in kubectl, or from a file. */
const pem = async (
  data: string | undefined,
  file: string | undefined,
  folder: string,
  what: string,
): Promise<E.Either<ClusterError, string | undefined>> => {
  if (data !== undefined && data !== '') return E.right(Buffer.from(data, 'base64').toString('utf8'));
  if (file === undefined || file === '') return E.right(undefined);
  try {
    return E.right(await readFile(resolve(folder, file), 'utf8'));
  } catch (error) {
    return E.left(invalid(`cannot read ${what}: ${because(error)}`));
  }
};

const clusterOf = async (
  { name, cluster }: t.TypeOf<typeof ClusterEntry>,
  folder: string,
  origin: string,
): Promise<E.Either<ClusterError, KubeconfigCluster>> => {
  if (cluster?.server === undefined || cluster.server === '')
    return E.left(invalid(`cluster "${name}" in ${origin} has no server`));
  const ca = await pem(
    cluster['certificate-authority-data'],
    cluster['certificate-authority'],
    folder,
    `the certificate authority of cluster "${name}"`,
  );
  if (E.isLeft(ca)) return ca;
  return E.right({
    server: cluster.server,
    ca: ca.right,
    insecureSkipTlsVerify: cluster['insecure-skip-tls-verify'] ?? false,
    tlsServerName: cluster['tls-server-name'] || undefined,
    proxyUrl: cluster['proxy-url'] || undefined,
  });
};

/** An exec plugin given by a relative path with a slash lies beside the kubeconfig. */
const locatedExec = (exec: Readonly<Record<string, unknown>>, folder: string): Record<string, unknown> => ({
  ...exec,
  ...(typeof exec.command === 'string' && /[/\\]/.test(exec.command)
    ? { command: resolve(folder, exec.command) }
    : {}),
});

const userOf = async (
  { name, user }: t.TypeOf<typeof UserEntry>,
  folder: string,
): Promise<E.Either<ClusterError, KubeconfigUser>> => {
  const u = user ?? {};
  const certificate = await pem(
    u['client-certificate-data'],
    u['client-certificate'],
    folder,
    `the client certificate of user "${name}"`,
  );
  if (E.isLeft(certificate)) return certificate;
  const key = await pem(u['client-key-data'], u['client-key'], folder, `the client key of user "${name}"`);
  if (E.isLeft(key)) return key;
  return E.right({
    name,
    ...(u.token ? { token: u.token } : {}),
    ...(u.tokenFile ? { tokenFile: resolve(folder, u.tokenFile) } : {}),
    ...(certificate.right === undefined ? {} : { clientCertificate: certificate.right }),
    ...(key.right === undefined ? {} : { clientKey: key.right }),
    ...(u.username ? { username: u.username, password: u.password ?? '' } : {}),
    ...(u.as ? { impersonate: u.as } : {}),
    ...(u.exec ? { exec: locatedExec(u.exec, folder) } : {}),
    ...(u['auth-provider'] ? { authProvider: u['auth-provider'] } : {}),
  });
};

/** One file's text with the folder its relative paths start at. */
type Part = Readonly<{ origin: string; folder: string; text: string }>;

const readParts = async (
  paths: ReadonlyArray<string>,
): Promise<E.Either<ClusterError, ReadonlyArray<Part>>> => {
  const parts: Part[] = [];
  for (const path of paths) {
    try {
      parts.push({ origin: path, folder: dirname(resolve(path)), text: await readFile(path, 'utf8') });
    } catch (error) {
      const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
      if (!missing) return E.left(invalid(`cannot read ${path}: ${because(error)}`));
    }
  }
  return parts.length > 0
    ? E.right(parts)
    : E.left({
        reason: 'NoKubeconfig',
        message: `no kubeconfig: ${paths.join(', ') || 'no file'} does not exist`,
      });
};

/** Reads and merges; certificates named by files are read too, their absence is reported when they are needed. */
export const loadKubeconfig = async (
  source: KubeconfigSource,
): Promise<E.Either<ClusterError, Kubeconfig>> => {
  const parts: E.Either<ClusterError, ReadonlyArray<Part>> = 'paths' in source
    ? await readParts(source.paths)
    : E.right([
        {
          origin: source.file ?? 'kubeconfig',
          folder: dirname(resolve(source.file ?? '.')),
          text: source.text,
        },
      ]);
  if (E.isLeft(parts)) return parts;

  let currentContext: string | undefined;
  const contexts = new Map<string, { cluster: string; user: string; namespace: string | undefined }>();
  const clusters = new Map<string, E.Either<ClusterError, KubeconfigCluster>>();
  const users = new Map<string, E.Either<ClusterError, KubeconfigUser>>();
  for (const { origin, folder, text } of parts.right) {
    const file = await decodeFile(text, origin);
    if (E.isLeft(file)) return file;
    currentContext ??= file.right['current-context'] || undefined;
    for (const entry of file.right.clusters ?? [])
      if (!clusters.has(entry.name)) clusters.set(entry.name, await clusterOf(entry, folder, origin));
    for (const entry of file.right.users ?? [])
      if (!users.has(entry.name)) users.set(entry.name, await userOf(entry, folder));
    for (const { name, context } of file.right.contexts ?? [])
      if (!contexts.has(name))
        contexts.set(name, {
          cluster: context?.cluster ?? '',
          user: context?.user ?? '',
          namespace: context?.namespace || undefined,
        });
  }
  return E.right({
    origin: parts.right.map(({ origin }) => origin).join(delimiter),
    currentContext,
    contexts,
    clusters,
    users,
  });
};

/** What a context (default: the current one) names, or why it names nothing usable. */
export const selectContext = (
  config: Kubeconfig,
  wanted?: string,
): E.Either<ClusterError, SelectedContext> => {
  const { origin } = config;
  const known = [...config.contexts.keys()].sort().join(', ') || 'none';
  const name = wanted ?? config.currentContext;
  if (name === undefined)
    return E.left({
      reason: 'NoSuchContext',
      message: `no current-context in ${origin}; choose one with --context; contexts: ${known}`,
    });
  const context = config.contexts.get(name);
  if (context === undefined)
    return E.left({
      reason: 'NoSuchContext',
      message: `no such context "${name}" in ${origin}; contexts: ${known}`,
    });
  const cluster =
    config.clusters.get(context.cluster) ??
    E.left(invalid(`context "${name}" in ${origin} names cluster "${context.cluster}", which is not there`));
  if (E.isLeft(cluster)) return cluster;
  const user: E.Either<ClusterError, KubeconfigUser> =
    context.user === ''
      ? E.right({ name: '' })
      : (config.users.get(context.user) ??
        E.left(invalid(`context "${name}" in ${origin} names user "${context.user}", which is not there`)));
  if (E.isLeft(user)) return user;
  return E.right({
    name,
    namespace: context.namespace ?? 'default',
    clusterName: context.cluster,
    cluster: cluster.right,
    user: user.right,
  });
};
