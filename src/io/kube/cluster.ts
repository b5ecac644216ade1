/**
 * Which cluster, and as whom.
 *
 * A `Cluster` is all that the transport needs. It comes from a kubeconfig or from the files of a mounted
 * ServiceAccount token. Nothing heavy is loaded here: krt starts through this file.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import * as E from 'fp-ts/lib/Either.js';

import { type Credentials, credentialsOf, fileToken } from './credentials.js';
import { environmentProxy } from './environment-proxy.js';
import { type KubeconfigSource, loadKubeconfig, selectContext } from './kubeconfig.js';

/** Where an API server is and how to prove who asks. */
export type Cluster = Readonly<{
  /** http or https; a path is the prefix of every request's path. */
  server: URL;
  /** PEM text of the CAs to trust instead of the system's. */
  ca?: string;
  /** PEM text of the client certificate and its key. */
  clientCertificate?: string;
  clientKey?: string;
  insecureSkipTlsVerify?: boolean;
  /** Name to expect in the server's certificate, where it is not the host of `server`. */
  tlsServerName?: string;
  /** http or https proxy, by CONNECT. */
  proxyUrl?: URL;
  /** Namespace where none is named. */
  namespace: string;
  /** The kubeconfig's context, where there is one. */
  context?: string;
  /** Who we are, as headers; asked before each request, cheap but every 60 s, when a token file is read again. */
  headers: () => Promise<Readonly<Record<string, string>>>;
  /** The server did not accept them: what they were made of is read again for the next request. */
  refused?: () => void;
}>;

/** Why there is no cluster to talk to. The message names the file and what to do. */
export type ClusterError = Readonly<{
  reason: 'NoKubeconfig' | 'InvalidKubeconfig' | 'NoSuchContext' | 'NoCredentials' | 'NotInCluster';
  message: string;
}>;

const invalid = (message: string): ClusterError => ({ reason: 'InvalidKubeconfig', message });

/** A URL of one of the given protocols, or why not. */
const urlOf = (text: string, what: string, protocols: ReadonlyArray<string>): E.Either<ClusterError, URL> => {
  const withScheme = text.includes('://') ? text : `http://${text}`;
  if (!URL.canParse(withScheme)) return E.left(invalid(`${what}: ${JSON.stringify(text)} is not a URL`));
  const url = new URL(withScheme);
  return protocols.includes(url.protocol)
    ? E.right(url)
    : E.left(
        invalid(
          `${what}: ${JSON.stringify(text)} must begin with ${protocols.map((p) => `${p}//`).join(' or ')}`,
        ),
      );
};

/**
 * The cluster of a kubeconfig's context (default: its current-context). Several files are merged as kubectl does: the
 * first to name something wins. A user with `exec` or `auth-provider` is asked through @kubernetes/client-node, loaded
 * only then.
 */
export const clusterFromKubeconfig = async (
  source: KubeconfigSource,
  {
    context,
    env = {},
  }: Readonly<{
    context?: string | undefined;
    /** Where a proxy may be named that the kubeconfig does not. */
    env?: Readonly<Record<string, string | undefined>>;
  }> = {},
): Promise<E.Either<ClusterError, Cluster>> => {
  const loaded = await loadKubeconfig(source);
  if (E.isLeft(loaded)) return loaded;
  const selected = selectContext(loaded.right, context);
  if (E.isLeft(selected)) return selected;
  const { name, namespace, cluster, user, clusterName } = selected.right;

  const server = urlOf(cluster.server, `server of cluster "${clusterName}"`, ['https:', 'http:']);
  if (E.isLeft(server)) return server;
  const [proxyText, proxyPlace] =
    cluster.proxyUrl === undefined
      ? [environmentProxy(server.right, env), 'the proxy in the environment']
      : [cluster.proxyUrl, `proxy-url of cluster "${clusterName}"`];
  const proxy =
    proxyText === undefined ? E.right(undefined) : urlOf(proxyText, proxyPlace, ['http:', 'https:']);
  if (E.isLeft(proxy)) return proxy;
  const credentials: E.Either<ClusterError, Credentials> = await credentialsOf(user, cluster);
  if (E.isLeft(credentials)) return credentials;

  return E.right({
    server: server.right,
    namespace,
    context: name,
    ...(cluster.ca === undefined ? {} : { ca: cluster.ca }),
    ...(cluster.insecureSkipTlsVerify ? { insecureSkipTlsVerify: true } : {}),
    ...(cluster.tlsServerName === undefined ? {} : { tlsServerName: cluster.tlsServerName }),
    ...(proxy.right === undefined ? {} : { proxyUrl: proxy.right }),
    ...credentials.right,
  });
};

/**
 * The cluster a pod runs in: `dir` holds the projected files `token`, `ca.crt` and `namespace`; host and port are the
 * environment's KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT. The token is read again every 60 s.
 */
export const clusterFromServiceAccount = async (
  dir: string,
  host: string,
  port: string | number,
): Promise<E.Either<ClusterError, Cluster>> => {
  const bracketed = host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
  const address = `https://${bracketed}:${port}`;
  if (!URL.canParse(address))
    return E.left({ reason: 'NotInCluster', message: `no API server at host "${host}" and port "${port}"` });
  try {
    const [ca, namespace] = await Promise.all([
      readFile(join(dir, 'ca.crt'), 'utf8'),
      readFile(join(dir, 'namespace'), 'utf8'),
    ]);
    const token = fileToken(join(dir, 'token'));
    await token.headers();
    return E.right({ server: new URL(address), ca, namespace: namespace.trim() || 'default', ...token });
  } catch (error) {
    return E.left({
      reason: 'NotInCluster',
      message: `cannot read the ServiceAccount files in ${dir}: ${error instanceof Error ? error.message : String(error)}`,
    });
  }
};
