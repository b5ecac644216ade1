/**
 * A proxy of messages before the operators' session servers: it speaks the sessions' protocol on both sides, with a
 * certificate of the operators' own CA, and may meddle with what passes: each message twice, late and so out of order,
 * messages of earlier sessions again. Hello and Welcome, which begin a session, are left alone.
 */
import {
  ChannelCredentials,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import * as E from 'fp-ts/lib/Either.js';

import { AuthoritySecret, authorityOf } from '../../src/io/session/authority-secret.js';
import { issueCertificate } from '../../src/io/session/certificates.js';
import {
  type FromOperator,
  type FromRuntimed,
  SessionsClient,
  SessionsService,
} from '../../src/proto/gen/session.js';

/** What becomes of a message: when it is passed on, once for each number, milliseconds from now. */
export type Meddling = Readonly<{
  passes: () => ReadonlyArray<number>;
  /** Every session begins with what the operator told earlier ones of the same pod. */
  replays?: boolean;
}>;

export type MessageProxy = Readonly<{
  port: number;
  /** Messages that did not pass once and at once. */
  hits: () => number;
  close: () => void;
}>;

/** Starts it before the ports of the operators, whose CA is in this Secret. */
export const startMessageProxy = async (
  targets: ReadonlyArray<number>,
  secret: unknown,
  { passes, replays = false }: Meddling,
): Promise<MessageProxy> => {
  const decoded = AuthoritySecret.decode(secret);
  if (E.isLeft(decoded)) throw new Error('there is no CA of the sessions');
  const authority = authorityOf(decoded.right);
  const { certificate, privateKey } = await issueCertificate(authority, ['localhost', '127.0.0.1']);
  const server = new Server({ 'grpc.max_receive_message_length': 16 * 1024 * 1024 });
  /** What was told, by the caller's pod. */
  const told = new Map<string, FromOperator[]>();
  let [calls, hits] = [0, 0];

  /** Passes it on as it is told to. */
  const meddle = <A>(message: A, write: (message: A) => void): void => {
    const times = passes();
    if (times.length !== 1 || times[0] !== 0) hits += 1;
    for (const ms of times)
      if (ms === 0) write(message);
      else setTimeout(() => write(message), ms);
  };

  const connect = (near: ServerDuplexStream<FromRuntimed, FromOperator>): void => {
    const client = new SessionsClient(
      `127.0.0.1:${targets[calls % targets.length] ?? 0}`,
      ChannelCredentials.createSsl(Buffer.from(authority.certificate)),
      { 'grpc.use_local_subchannel_pool': 1, 'grpc.max_receive_message_length': 16 * 1024 * 1024 },
    );
    calls += 1;
    const far = client.connect(near.metadata);
    let isOver = false;
    let pod = '';
    const over = (error?: ServiceError): void => {
      if (isOver) return;
      isOver = true;
      far.cancel();
      client.close();
      near.emit('error', { code: error?.code ?? status.UNAVAILABLE, details: error?.details ?? 'cut' });
    };
    const tell = (message: FromOperator): void => {
      if (!isOver) near.write(message);
    };
    near.on('data', (message: FromRuntimed) => {
      if (message.message?.$case === 'hello') {
        pod = message.message.value.podUid;
        far.write(message);
      } else
        meddle(message, (copy) => {
          if (!isOver) far.write(copy);
        });
    });
    near.on('error', () => over());
    near.on('cancelled', () => over());
    near.on('end', () => over());
    far.on('data', (message: FromOperator) => {
      const before = told.get(pod) ?? [];
      told.set(pod, before);
      if (message.message?.$case === 'welcome') {
        tell(message);
        if (!replays) return;
        hits += before.length;
        for (const old of before) tell(old);
        return;
      }
      if (message.message?.$case !== 'beat') before.push(message);
      meddle(message, tell);
    });
    far.on('error', (error: ServiceError) => over(error));
    far.on('end', () => over());
  };
  server.addService(SessionsService, { connect });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync(
      '127.0.0.1:0',
      ServerCredentials.createSsl(null, [
        { cert_chain: Buffer.from(certificate), private_key: Buffer.from(privateKey) },
      ]),
      (error, bound) => (error ? reject(error) : resolve(bound)),
    ),
  );
  return { port, hits: () => hits, close: () => server.forceShutdown() };
};
