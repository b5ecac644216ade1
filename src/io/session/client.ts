/**
 * Dials the operator: one call on a connection of its own.
 *
 * Each dial makes a new connection, because a Service spreads connections, not calls: on an old one a replica that is
 * not the leader would refuse for ever. The token is read at each dial, since the kubelet replaces it.
 */
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { checkServerIdentity } from 'node:tls';

import { ChannelCredentials, type ChannelOptions, Metadata, type ServiceError } from '@grpc/grpc-js';
import { concatMap, from, Observable } from 'rxjs';

import { type FromOperator, type FromRuntimed, SessionsClient } from '../../proto/gen/session.js';

export type SessionTarget = Readonly<{
  /** `https://host:port`, or `http://host:port` and `unix:/path`, both without TLS. */
  url: string;
  /** PEM of the CA that signed the operator's certificate; '' for the system's own. */
  ca: string;
  /** The ServiceAccount token, bound to the pod. */
  tokenFile: string;
}>;

/** The name a server is called by where all that is known is its address: TLS has no way to ask for an address. */
const UNNAMED = 'operator.kruntimes.invalid';

/** gRPC's name for the address, and how to speak to it. */
const endpointOf = ({
  url,
  ca,
}: SessionTarget): Readonly<{
  target: string;
  credentials: ChannelCredentials;
  options?: ChannelOptions;
}> => {
  if (url.startsWith('unix:')) return { target: url, credentials: ChannelCredentials.createInsecure() };
  const { protocol, hostname, port } = new URL(url);
  const target = `${hostname}:${port || (protocol === 'https:' ? '443' : '80')}`;
  if (protocol !== 'https:') return { target, credentials: ChannelCredentials.createInsecure() };
  const roots = ca === '' ? null : Buffer.from(ca);
  const address = hostname.replace(/^\[|\]$/g, '');
  if (isIP(address) === 0) return { target, credentials: ChannelCredentials.createSsl(roots) };
  // The certificate is still that of the address.
  const credentials = ChannelCredentials.createSsl(roots, null, null, {
    checkServerIdentity: (_name, certificate) => checkServerIdentity(address, certificate),
  });
  return { target, credentials, options: { 'grpc.ssl_target_name_override': UNNAMED } };
};

const OPTIONS = {
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5_000,
  'grpc.enable_retries': 0,
  'grpc.use_local_subchannel_pool': 1,
  // An assignment holds a whole Run: a script of 262,144 characters, args and env.
  'grpc.max_receive_message_length': 16 * 1024 * 1024,
};

/**
 * grpc-js 1.14 goes on to connect after the pause that follows a failed attempt, also when its channel has been closed in
 * that pause, and keeps a connection that nobody will use or close. Each time it first waits for the credentials to be
 * ready. These are not any more once it has let go of them.
 */
const untilDestroyed = (credentials: ChannelCredentials): ChannelCredentials => {
  const create = credentials._createSecureConnector.bind(credentials);
  credentials._createSecureConnector = (...given) => {
    const connector = create(...given);
    let isDestroyed = false;
    return {
      connect: (socket) => connector.connect(socket),
      waitForReady: () =>
        isDestroyed ? Promise.reject(new Error('the channel is closed')) : connector.waitForReady(),
      getCallCredentials: () => connector.getCallCredentials(),
      destroy: () => {
        isDestroyed = true;
        connector.destroy();
      },
    };
  };
  return credentials;
};

const call = (
  target: SessionTarget,
  token: string,
  outgoing$: Observable<FromRuntimed>,
): Observable<FromOperator> =>
  new Observable((incoming) => {
    const endpoint = endpointOf(target);
    const client = new SessionsClient(endpoint.target, untilDestroyed(endpoint.credentials), {
      ...OPTIONS,
      ...endpoint.options,
    });
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${token}`);
    const stream = client.connect(metadata);
    stream.on('data', (message: FromOperator) => incoming.next(message));
    stream.on('end', () => incoming.complete());
    stream.on('error', (error: ServiceError) =>
      incoming.error(new Error(`the operator at ${target.url}: ${error.details || error.message}`)),
    );
    // Messages are few and small (beats, refusals): what the connection does not take at once waits in it.
    const outgoing = outgoing$.subscribe({
      next: (message) => stream.write(message),
      complete: () => stream.end(),
    });
    return () => {
      outgoing.unsubscribe();
      stream.cancel();
      client.close();
    };
  });

/** One session call; errors with a reason fit for a log when it is over. */
export const dialOperator =
  (target: SessionTarget) =>
  (outgoing$: Observable<FromRuntimed>): Observable<FromOperator> =>
    from(readFile(target.tokenFile, 'utf8')).pipe(
      concatMap((token) => call(target, token.trim(), outgoing$)),
    );
