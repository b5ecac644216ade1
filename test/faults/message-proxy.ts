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
import { lastValueFrom, Subject, take, timeout } from 'rxjs';

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
  /** `nth` counts those before it, beats apart; `chance` is a number from 0 to 1, another one each time. */
  passes: (nth: number, chance: () => number) => ReadonlyArray<number>;
  /** Every session begins with what the operator told earlier ones of the same pod. */
  replays?: boolean;
}>;

export type MessageProxy = Readonly<{
  port: number;
  /** Begins to meddle; until then it only notes what is told. */
  begin: (chance: () => number) => void;
  /** Resolves when so many sessions more than now have begun. Rejects after 20 s. */
  whenOpen: (sessions: number) => Promise<void>;
  /** Messages, beats apart, that did not pass once and at once. */
  hits: () => number;
  close: () => void;
}>;

/** Longest time from a cut to the next session, milliseconds. */
const OPEN_LIMIT_MS = 20_000;

/**
 * Starts it before the ports of the operators, whose CA is in this Secret.
 *
 * @param passing as many of the operator's messages pass before it begins to meddle; those that follow wait for that, so
 *   that there are some to meddle with
 */
export const startMessageProxy = async (
  targets: ReadonlyArray<number>,
  secret: unknown,
  { passes, replays = false }: Meddling,
  passing: number,
): Promise<MessageProxy> => {
  const decoded = AuthoritySecret.decode(secret);
  if (E.isLeft(decoded)) throw new Error('there is no CA of the sessions');
  const authority = authorityOf(decoded.right);
  const { certificate, privateKey } = await issueCertificate(authority, ['localhost', '127.0.0.1']);
  const server = new Server({ 'grpc.max_receive_message_length': 16 * 1024 * 1024 });
  /** What was told, by the caller's pod. */
  const told = new Map<string, FromOperator[]>();
  const opened = new Subject<void>();
  let chance: (() => number) | undefined;
  let waiting: (() => void)[] = [];
  let [calls, hits, passed, met, metBeats] = [0, 0, 0, 0, 0];

  /** Passes it on as it is told to. */
  const meddle = <A extends FromOperator | FromRuntimed>(message: A, write: (message: A) => void): void => {
    if (chance === undefined) {
      write(message);
      return;
    }
    const isBeat = message.message?.$case === 'beat';
    const times = passes(isBeat ? metBeats++ : met++, chance);
    if (!isBeat && (times.length !== 1 || times[0] !== 0)) hits += 1;
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
        if (replays && chance !== undefined) {
          hits += before.length;
          for (const old of before) tell(old);
        }
        opened.next();
        return;
      }
      if (message.message?.$case !== 'beat') {
        before.push(message);
        passed += 1;
        if (chance === undefined && passed > passing) {
          waiting.push(() => meddle(message, tell));
          return;
        }
      }
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
  return {
    port,
    begin: (next) => {
      chance = next;
      for (const pass of waiting) pass();
      waiting = [];
    },
    whenOpen: async (sessions) => {
      await lastValueFrom(opened.pipe(take(sessions), timeout(OPEN_LIMIT_MS)));
    },
    hits: () => hits,
    close: () => server.forceShutdown(),
  };
};
