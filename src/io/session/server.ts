/**
 * The operator's end of the sessions: a gRPC server that knows who calls, turns calls into session events, and sends.
 *
 * Guarantees: one session per pod, a newer call replaces the older; identity comes from the token, never from Hello;
 * while `isAccepting` says no, every call is refused with UNAVAILABLE; three missed beats end a session, and a call that
 * does not become one in that time. Every Opened is followed by exactly one Closed.
 */
import { experimental, type Metadata, Server, type ServerDuplexStream, status } from '@grpc/grpc-js';
import * as E from 'fp-ts/lib/Either.js';
import { Subject } from 'rxjs';

import type { EffectError } from '../../model/effect-error.js';
import { objectKey, type PodUid, RunUid } from '../../model/ids.js';
import type { AttemptRef, SessionEvent } from '../../model/session.js';
import { uidParts } from '../../model/uid-parts.js';
import type { SessionPort } from '../../ports.js';
import type {
  AttemptRef as AttemptMessage,
  FromOperator,
  FromRuntimed,
  Hello,
} from '../../proto/gen/session.js';
import { SessionsService } from '../../proto/gen/session.js';
import { type Address, grpcTarget } from '../address.js';

/** The pod a token stands for. */
export type PodIdentity = Readonly<{ namespace: string; podName: string; podUid: PodUid }>;

/** Settings of the session server. */
export type SessionServerOptions = Readonly<{
  address: Address;
  /** PEM texts. */
  certificate: string;
  privateKey: string;
  /** Who holds this token. Forbidden and Unauthorized refuse the caller, other errors ask it to come back. */
  authenticate: (token: string) => Promise<E.Either<EffectError, PodIdentity>>;
  /** Whether this operator leads and its caches are full. */
  isAccepting: () => boolean;
  /** Longest silence of either side between messages; three of them end a session. Default 2 s. */
  beatIntervalMs?: number;
}>;

/** A listening session server. */
export type SessionServer = Readonly<{
  port: SessionPort;
  /** TCP port it listens on; 0 on a unix socket. */
  tcpPort: number;
  /** Shows this certificate to whoever dials from now on; sessions that are open stay. PEM texts. */
  useCertificate: (pair: Certificate) => void;
  /** Ends every session, for an operator that no longer leads. Callers may dial again. */
  closeSessions: (why: string) => void;
  close: () => Promise<void>;
}>;

type Certificate = Pick<SessionServerOptions, 'certificate' | 'privateKey'>;

/** A certificate that can be replaced while the server listens. */
const shownCertificate = (
  first: Certificate,
): Readonly<{ provider: experimental.CertificateProvider; use: (pair: Certificate) => void }> => {
  const listeners = new Set<experimental.IdentityCertificateUpdateListener>();
  const updateOf = ({ certificate, privateKey }: Certificate): experimental.IdentityCertificateUpdate => ({
    certificate: Buffer.from(certificate),
    privateKey: Buffer.from(privateKey),
  });
  let update = updateOf(first);
  return {
    provider: {
      addIdentityCertificateListener: (listener) => {
        listeners.add(listener);
        // Not at once: grpc-js takes updates only after it has added the listener.
        queueMicrotask(() => listener(update));
      },
      removeIdentityCertificateListener: (listener) => void listeners.delete(listener),
      // Pods prove themselves by a token, not by a certificate.
      addCaCertificateListener: () => undefined,
      removeCaCertificateListener: () => undefined,
    },
    use: (pair) => {
      update = updateOf(pair);
      for (const listener of listeners) listener(update);
    },
  };
};

type Call = ServerDuplexStream<FromRuntimed, FromOperator>;
/** `heardMs` by the steady clock, which nobody sets. */
type Open = { readonly call: Call; readonly identity: PodIdentity; heardMs: number };

const beat = { healthy: false, healthMessage: '', draining: false };
const NOBODY = '' as PodUid;
const BEAT: FromOperator = { message: { $case: 'beat', value: beat } };

const bearer = (metadata: Metadata): string | undefined => {
  const [header] = metadata.get('authorization');
  return typeof header === 'string' && header.startsWith('Bearer ') ? header.slice(7) : undefined;
};

const attemptOf = ({ runName, runUid, attempt }: AttemptMessage): AttemptRef | undefined => {
  const uid = RunUid.decode(runUid);
  return E.isRight(uid) && Number.isInteger(attempt) && attempt > 0
    ? { runName, runUid: uid.right, attempt }
    : undefined;
};

const attemptMessage = ({ runName, runUid, attempt }: AttemptRef): AttemptMessage => ({
  runName,
  runUid,
  attempt,
});

/** A sweep's Runs in parts, one at least: that there is none has to be said, too. */
const sweepParts = (
  runs: ReadonlyArray<RunUid>,
): ReadonlyArray<Readonly<{ runUids: RunUid[]; more: boolean }>> => {
  const parts = uidParts(runs);
  return parts.length === 0
    ? [{ runUids: [], more: false }]
    : parts.map((runUids, index) => ({ runUids, more: index + 1 < parts.length }));
};

/** Starts listening. */
export const serveSessions = async ({
  address,
  certificate,
  privateKey,
  authenticate,
  isAccepting,
  beatIntervalMs = 2000,
}: SessionServerOptions): Promise<SessionServer> => {
  const events = new Subject<SessionEvent>();
  const open = new Map<PodUid, Open>();
  /** Calls that are no sessions yet, and since when. */
  const knocking = new Map<Call, { readonly sinceMs: number; hasSpoken: boolean }>();

  const refuse = (call: Call, code: status, details: string): void => {
    knocking.delete(call);
    call.emit('error', { code, details });
  };

  const closed = (podUid: PodUid, call: Call, why: string): void => {
    if (open.get(podUid)?.call !== call) return;
    open.delete(podUid);
    events.next({ kind: 'Closed', podUid, why });
  };

  const opened = (call: Call, identity: PodIdentity, hello: Hello): void => {
    const { podUid } = identity;
    const older = open.get(podUid);
    if (older) {
      closed(podUid, older.call, 'replaced by a newer session');
      refuse(older.call, status.ABORTED, 'a newer session of this pod has opened');
    }
    knocking.delete(call);
    open.set(podUid, { call, identity, heardMs: performance.now() });
    call.write({ message: { $case: 'welcome', value: { beatIntervalMillis: beatIntervalMs } } });
    events.next({
      kind: 'Opened',
      session: {
        podUid,
        podKey: objectKey(identity.namespace, identity.podName),
        held: hello.held.flatMap((attempt) => attemptOf(attempt) ?? []),
        healthy: hello.healthy,
        healthMessage: hello.healthMessage,
        draining: hello.draining,
        artifactStore: hello.artifactStore,
      },
    });
  };

  const onMessage = (call: Call, identity: PodIdentity, { message }: FromRuntimed): void => {
    const { podUid } = identity;
    const session = open.get(podUid);
    if (message?.$case === 'hello') {
      if (session?.call === call) return;
      if (message.value.podUid !== podUid)
        return refuse(
          call,
          status.PERMISSION_DENIED,
          `the token belongs to pod ${identity.podName}, not to the one in Hello`,
        );
      if (!isAccepting()) return refuse(call, status.UNAVAILABLE, 'this operator does not lead; dial again');
      return opened(call, identity, message.value);
    }
    if (session?.call !== call)
      return refuse(call, status.FAILED_PRECONDITION, 'the first message must be Hello');
    session.heardMs = performance.now();
    if (message?.$case === 'beat') {
      const { healthy, healthMessage, draining } = message.value;
      events.next({ kind: 'Changed', podUid, healthy, healthMessage, draining });
    } else if (message?.$case === 'refused') {
      const attempt = message.value.attempt && attemptOf(message.value.attempt);
      const { reason, message: text } = message.value;
      if (attempt)
        events.next({ kind: 'Refused', podUid, attempt, reason: reason || 'Refused', message: text });
    } else if (message?.$case === 'artifactsRemoved') {
      const { runUid, store, error } = message.value;
      const uid = RunUid.decode(runUid);
      if (E.isRight(uid)) events.next({ kind: 'ArtifactsRemoved', podUid, runUid: uid.right, store, error });
    } else if (message?.$case === 'keptLogs') {
      const runs = message.value.runUids.filter(RunUid.is);
      events.next({ kind: 'KeptLogs', podUid, runs });
    }
  };

  const connect = (call: Call): void => {
    if (!isAccepting()) return refuse(call, status.UNAVAILABLE, 'this operator does not lead; dial again');
    const token = bearer(call.metadata);
    if (token === undefined) return refuse(call, status.UNAUTHENTICATED, 'the call carries no bearer token');
    const knock = { sinceMs: performance.now(), hasSpoken: false };
    knocking.set(call, knock);
    const early: FromRuntimed[] = [];
    let identity: PodIdentity | undefined;
    call.on('data', (message: FromRuntimed) => {
      if (isRefused()) return;
      if (identity) onMessage(call, identity, message);
      else {
        knock.hasSpoken = true;
        if (early.push(message) > 16)
          refuse(call, status.RESOURCE_EXHAUSTED, 'too many messages before authentication');
      }
    });
    const isRefused = (): boolean =>
      !knocking.has(call) && open.get(identity?.podUid ?? NOBODY)?.call !== call;
    const over = (why: string) => (): void => {
      knocking.delete(call);
      if (identity) closed(identity.podUid, call, why);
    };
    call.on('error', over('the connection failed'));
    call.on('cancelled', over('the connection was lost'));
    call.on('end', () => {
      over('runtimed ended it')();
      call.end();
    });
    authenticate(token).then(
      (answer) => {
        if (isRefused()) return;
        if (E.isLeft(answer)) {
          const { kind, message } = answer.left;
          const isRefusal = kind === 'Unauthorized' || kind === 'Forbidden' || kind === 'Invalid';
          return refuse(call, isRefusal ? status.UNAUTHENTICATED : status.UNAVAILABLE, message);
        }
        identity = answer.right;
        for (const message of early) if (!isRefused()) onMessage(call, identity, message);
      },
      () => {
        if (!isRefused()) refuse(call, status.UNAVAILABLE, 'the token could not be reviewed');
      },
    );
  };

  const server = new Server({
    'grpc.keepalive_time_ms': 10_000,
    'grpc.keepalive_timeout_ms': 5000,
    'grpc.keepalive_permit_without_calls': 1,
    'grpc.max_receive_message_length': 4 * 1024 * 1024,
  });
  server.addService(SessionsService, { connect });
  const shown = shownCertificate({ certificate, privateKey });
  const credentials = experimental.createCertificateProviderServerCredentials(shown.provider, null, false);
  const tcpPort = await new Promise<number>((resolve, reject) =>
    server.bindAsync(grpcTarget(address), credentials, (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );

  /** A beat to each session, and an end to those that are silent. */
  const look = (): void => {
    const oldest = performance.now() - 3 * beatIntervalMs;
    for (const [podUid, { call, heardMs }] of open) {
      if (heardMs >= oldest) call.write(BEAT);
      else {
        closed(podUid, call, 'three beats were missed');
        refuse(call, status.DEADLINE_EXCEEDED, 'three beats were missed');
      }
    }
    // One that has said who it is waits for us: when a thousand pods dial at once, the last are not to begin anew.
    for (const [call, { sinceMs, hasSpoken }] of knocking)
      if (sinceMs < oldest && !hasSpoken) refuse(call, status.DEADLINE_EXCEEDED, 'no Hello came in time');
  };
  // One timer for all. What pods sent while this process stood still (starved, or stopped) is read first, in the turn that
  // follows: it is no silence of theirs.
  let looking: NodeJS.Immediate | undefined;
  const beats = setInterval(() => {
    looking = setImmediate(look);
  }, beatIntervalMs);

  const closeSessions = (why: string): void => {
    for (const [podUid, { call }] of open) {
      closed(podUid, call, why);
      refuse(call, status.UNAVAILABLE, why);
    }
  };

  const send = (pod: PodUid, message: FromOperator): boolean =>
    open.get(pod)?.call.write(message) !== undefined;

  return {
    port: {
      events$: events.asObservable(),
      assign: (pod, attempt, run) =>
        send(pod, {
          message: { $case: 'assign', value: { attempt: attemptMessage(attempt), run: Buffer.from(run) } },
        }),
      cancel: (pod, attempt, reason) =>
        send(pod, { message: { $case: 'cancel', value: { attempt: attemptMessage(attempt), reason } } }),
      drain: (pod) => send(pod, { message: { $case: 'drain', value: {} } }),
      removeArtifacts: (pod, runUid, store) =>
        send(pod, { message: { $case: 'removeArtifacts', value: { runUid, store } } }),
      sweepLogs: (pod, store, installation, runs) =>
        sweepParts(runs).every(({ runUids, more }) =>
          send(pod, { message: { $case: 'sweepLogs', value: { store, installation, runUids, more } } }),
        ),
      forgetLogs: (pod, runs) =>
        uidParts(runs).every((runUids) =>
          send(pod, { message: { $case: 'forgetLogs', value: { runUids } } }),
        ),
    },
    tcpPort,
    useCertificate: shown.use,
    closeSessions,
    close: () =>
      new Promise((resolve) => {
        clearInterval(beats);
        clearImmediate(looking);
        closeSessions('the operator is stopping');
        const force = setTimeout(() => server.forceShutdown(), 500);
        server.tryShutdown(() => {
          clearTimeout(force);
          resolve();
        });
      }),
  };
};
