/**
 * The certificate of the session server: the first one, and those that take its place while the operator runs.
 *
 * Issued by a CA of our own, which all replicas share through a Secret, or read from a folder that somebody else
 * (cert-manager) keeps. Of our own: each replica issues a certificate for itself and again when two thirds of its time
 * are over; a CA is replaced likewise, or when the Secret has the annotation `kruntimes.io/rotate`, or is deleted. Any
 * replica may do it, the first one wins, the Secret's watch tells the others.
 */
import { watch } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import * as E from 'fp-ts/lib/Either.js';
import {
  asyncScheduler,
  auditTime,
  concatMap,
  defer,
  distinctUntilChanged,
  EMPTY,
  from,
  map,
  merge,
  Observable,
  type SchedulerLike,
  Subject,
  switchMap,
  timer,
} from 'rxjs';

import { informer } from '../../streams/watch/informer.js';
import type { InformerEvent } from '../../streams/watch/informer-events.js';
import {
  AuthoritySecret,
  authorityOf,
  ensureAuthority,
  ROTATE_KEY,
  replaceAuthority,
} from '../io/session/authority-secret.js';
import { type Authority, issueCertificate, renewalMs, type SessionTls } from '../io/session/certificates.js';
import type { EffectError } from '../model/effect-error.js';
import { secrets } from '../model/resources.js';
import type { KubePort, ObjectRef } from '../ports.js';

/** A certificate, or why there is no new one. */
type Issued = E.Either<EffectError, SessionTls>;

/** Longest timer that node has. */
const LONGEST_MS = 2 ** 31 - 1;
/** Wait before what failed is tried again. */
const AGAIN_MS = 600_000;
/** Files of a mounted Secret change one after the other. */
const SETTLE_MS = 200;

/** Emits once, at that time, however far it is. */
const at = (dueMs: number, clock: SchedulerLike): Observable<unknown> =>
  defer(() => {
    const waitMs = Math.max(dueMs - clock.now(), 0);
    return waitMs > LONGEST_MS
      ? timer(LONGEST_MS, clock).pipe(switchMap(() => at(dueMs, clock)))
      : timer(waitMs, clock);
  });

const issue = async (authority: Authority, host: string): Promise<SessionTls> => ({
  ...(await issueCertificate(authority, [...new Set([host, 'localhost', '127.0.0.1'])])),
  ca: authority.certificate,
});

/** The first certificate of our own, and the CA that it is from. */
export const issueSessionTls = async (
  kube: KubePort,
  ref: ObjectRef,
  host: string,
): Promise<E.Either<EffectError, Readonly<{ authority: Authority; tls: SessionTls }>>> => {
  const authority = await ensureAuthority(kube, ref);
  return E.isLeft(authority)
    ? authority
    : E.right({ authority: authority.right, tls: await issue(authority.right, host) });
};

/** What may call for a new certificate. */
type Cause = InformerEvent<AuthoritySecret> | Readonly<{ kind: 'Due' }>;

/** Those that follow the first of our own. Failures are items; without end. */
export const renewSessionTls = (
  kube: KubePort,
  ref: ObjectRef,
  host: string,
  first: Readonly<{ authority: Authority; tls: SessionTls }>,
  { random, clock = asyncScheduler }: Readonly<{ random: () => number; clock?: SchedulerLike }>,
): Observable<Issued> =>
  defer(() => {
    let { authority, tls } = first;
    let secret: AuthoritySecret | undefined;
    let wasListed = false;
    const dueSubject = new Subject<number>();
    const nextMs = (): number => Math.min(renewalMs(tls.certificate), renewalMs(authority.certificate));

    const renewed = async (): Promise<ReadonlyArray<Issued>> => {
      tls = await issue(authority, host);
      dueSubject.next(nextMs());
      return [E.right(tls)];
    };
    const failed = (error: EffectError): ReadonlyArray<Issued> => {
      if (error.kind === 'Conflict') return [];
      dueSubject.next(clock.now() + AGAIN_MS);
      return [E.left(error)];
    };
    /** What is written comes back by the watch. */
    const replaced = async (old: AuthoritySecret): Promise<ReadonlyArray<Issued>> => {
      const answer = await replaceAuthority(kube, ref, old);
      return E.isLeft(answer) ? failed(answer.left) : [];
    };
    const seen = (object: AuthoritySecret): Promise<ReadonlyArray<Issued>> | ReadonlyArray<Issued> => {
      secret = object;
      wasListed = true;
      const now = authorityOf(object);
      if (object.metadata.annotations?.[ROTATE_KEY] !== undefined) return replaced(object);
      if (now.certificate === authority.certificate && now.vouched === authority.vouched) return [];
      authority = now;
      return renewed();
    };
    const gone = async (): Promise<ReadonlyArray<Issued>> => {
      const made = await ensureAuthority(kube, ref, authority);
      if (E.isLeft(made)) return failed(made.left);
      authority = made.right;
      return renewed();
    };
    const due = (): Promise<ReadonlyArray<Issued>> | ReadonlyArray<Issued> =>
      secret !== undefined && renewalMs(authority.certificate) <= clock.now()
        ? replaced(secret)
        : renewalMs(tls.certificate) <= clock.now()
          ? renewed()
          : [];

    const answer = async (cause: Cause): Promise<ReadonlyArray<Issued>> => {
      switch (cause.kind) {
        case 'Apply':
          return seen(cause.object);
        case 'Delete':
          return gone();
        case 'Init':
          wasListed = false;
          return [];
        case 'InitDone':
          return wasListed ? [] : gone();
        case 'Rejected':
          return failed({
            kind: 'Invalid',
            message: `Secret ${cause.key}, the session CA, is broken: ${cause.paths.join(', ')}; delete it to have it made anew`,
          });
        case 'Due':
          return due();
        default:
          return [];
      }
    };
    const named = { namespace: ref.namespace, fieldSelector: `metadata.name=${ref.name}` };
    return merge(
      dueSubject.pipe(
        switchMap((dueMs) => at(dueMs, clock)),
        map((): Cause => ({ kind: 'Due' })),
      ),
      informer(kube, secrets, named, AuthoritySecret, { random, clock }),
      defer(() => {
        dueSubject.next(nextMs());
        return EMPTY;
      }),
    ).pipe(
      concatMap((cause) => from(answer(cause))),
      concatMap((items) => from(items)),
    );
  });

/** The certificate in a folder, as cert-manager's Secrets are mounted: tls.crt, tls.key and ca.crt. */
export const readSessionTls = async (folder: string): Promise<Issued> => {
  try {
    const [certificate = '', privateKey = '', ca = ''] = await Promise.all(
      ['tls.crt', 'tls.key', 'ca.crt'].map((file) => readFile(join(folder, file), 'utf8')),
    );
    return E.right({ certificate, privateKey, ca });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return E.left({ kind: 'Invalid', message: `the certificate of the sessions cannot be read: ${why}` });
  }
};

/** Those that appear in the folder afterwards. */
export const watchSessionTls = (folder: string, clock: SchedulerLike = asyncScheduler): Observable<Issued> =>
  new Observable<void>((changes) => {
    const watcher = watch(folder, () => changes.next());
    watcher.on('error', (error) => changes.error(error));
    return () => watcher.close();
  }).pipe(
    auditTime(SETTLE_MS, clock),
    concatMap(() => readSessionTls(folder)),
    distinctUntilChanged(
      (a, b) => E.isRight(a) && E.isRight(b) && a.right.certificate === b.right.certificate,
    ),
  );
