/** How a user proves who it is: headers for each request, and a client certificate. */
import { readFile } from 'node:fs/promises';

import * as E from 'fp-ts/lib/Either.js';

import type { Cluster, ClusterError } from './cluster.js';
import type { KubeconfigCluster, KubeconfigUser } from './kubeconfig.js';

/** The part of a Cluster that says who asks. */
export type Credentials = Pick<Cluster, 'headers' | 'refused' | 'clientCertificate' | 'clientKey'>;

type Headers = Readonly<Record<string, string>>;

/** How long a token read from a file is used: the time client-go uses; the kubelet renews long before the end. */
const REREAD_MS = 60_000;

const bearer = (token: string): Headers => ({ authorization: `Bearer ${token}` });

/**
 * The token in a file, read again when `REREAD_MS` old. A failed reading after a good one keeps the old token for
 * another turn: the API will say so when it is really too old, and then it is read again at once (`refused`): after a
 * sleep of the machine, or a step of its clock, a token may end at any moment.
 */
export const fileToken = (
  path: string,
  nowMs: () => number = () => performance.now(),
): Required<Pick<Credentials, 'headers' | 'refused'>> => {
  let known: Readonly<{ headers: Promise<Headers>; readMs: number }> | undefined;
  const read = async (fallback: Headers | undefined): Promise<Headers> => {
    try {
      const token = (await readFile(path, 'utf8')).trim();
      if (token === '') throw new Error(`token file ${path} is empty`);
      return bearer(token);
    } catch (error) {
      if (fallback !== undefined) return fallback;
      known = undefined;
      throw error;
    }
  };
  return {
    headers: () => {
      if (known === undefined) known = { headers: read(undefined), readMs: nowMs() };
      else if (nowMs() - known.readMs >= REREAD_MS) {
        const before = known.headers;
        known = { headers: before.then((headers) => read(headers)), readMs: nowMs() };
      }
      return known.headers;
    },
    refused: () => {
      if (known !== undefined) known = { ...known, readMs: Number.NEGATIVE_INFINITY };
    },
  };
};

/** Credentials of a user that needs a plugin, through client-node: it costs a third of a second to load. */
const pluginCredentials = async (
  user: KubeconfigUser,
  cluster: KubeconfigCluster,
): Promise<E.Either<ClusterError, Credentials>> => {
  const { KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  config.loadFromClusterAndUser(
    { name: 'cluster', server: cluster.server, skipTLSVerify: cluster.insecureSkipTlsVerify },
    {
      name: user.name,
      ...(user.exec === undefined ? {} : { exec: user.exec }),
      ...(user.authProvider === undefined ? {} : { authProvider: user.authProvider }),
    },
  );
  type Answer = { headers?: Record<string, unknown>; cert?: unknown; key?: unknown };
  const ask = async (): Promise<Answer> => {
    const answer: Answer = {};
    await config.applyToHTTPSOptions(answer as Parameters<typeof config.applyToHTTPSOptions>[0]);
    return answer;
  };
  const headersOf = ({ headers = {} }: Answer): Headers =>
    Object.fromEntries(
      Object.entries(headers).flatMap(([name, value]) =>
        typeof value === 'string' ? [[name.toLowerCase(), value] as const] : [],
      ),
    );
  try {
    const first = await ask();
    return E.right({
      headers: async () => headersOf(await ask()),
      ...(typeof first.cert === 'string' ? { clientCertificate: first.cert } : {}),
      ...(typeof first.key === 'string' ? { clientKey: first.key } : {}),
    });
  } catch (error) {
    const [firstLine = ''] = (error instanceof Error ? error.message : String(error)).trim().split('\n');
    return E.left({
      reason: 'NoCredentials',
      message: `the credential plugin of user "${user.name}" failed: ${firstLine || 'no reason given'}`,
    });
  }
};

/** A kubeconfig user's credentials. Order of precedence as in kubectl: token, token file, basic, plugin. */
export const credentialsOf = async (
  user: KubeconfigUser,
  cluster: KubeconfigCluster,
): Promise<E.Either<ClusterError, Credentials>> => {
  const impersonation: Headers =
    user.impersonate === undefined ? {} : { 'impersonate-user': user.impersonate };
  const certificate: Pick<Cluster, 'clientCertificate' | 'clientKey'> = {
    ...(user.clientCertificate === undefined ? {} : { clientCertificate: user.clientCertificate }),
    ...(user.clientKey === undefined ? {} : { clientKey: user.clientKey }),
  };
  const fixed = (headers: Headers): E.Either<ClusterError, Credentials> => {
    const answer = Promise.resolve({ ...headers, ...impersonation });
    return E.right({ ...certificate, headers: () => answer });
  };
  if (user.tokenFile !== undefined) {
    const token = fileToken(user.tokenFile);
    try {
      await token.headers();
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      // The inline token stands in where both are given and the file is not there.
      if (user.token !== undefined) return fixed(bearer(user.token));
      return E.left({
        reason: 'NoCredentials',
        message: `cannot read the token of user "${user.name}": ${why}`,
      });
    }
    return E.right({
      ...certificate,
      headers: async () => ({ ...(await token.headers()), ...impersonation }),
      refused: token.refused,
    });
  }
  if (user.token !== undefined) return fixed(bearer(user.token));
  if (user.username !== undefined) {
    const pair = Buffer.from(`${user.username}:${user.password ?? ''}`).toString('base64');
    return fixed({ authorization: `Basic ${pair}` });
  }
  if (user.exec !== undefined || user.authProvider !== undefined) {
    const plugin = await pluginCredentials(user, cluster);
    return E.isLeft(plugin)
      ? plugin
      : E.right({
          ...certificate,
          ...plugin.right,
          headers: async () => ({ ...(await plugin.right.headers()), ...impersonation }),
        });
  }
  return fixed({});
};
