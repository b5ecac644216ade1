/**
 * The Kubernetes client: KubePort over our transport, and a little more for krt.
 *
 * Nothing is retried here but an idempotent request whose kept connection turned out to be closed. Every failure is a
 * Left whose message names the object and the server.
 */
import * as E from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';
import { map, Observable } from 'rxjs';
import type { WebSocket } from 'ws';

import type { EffectError } from '../../model/effect-error.js';
import type { Effect, KubePort, ListPage, Patch, WatchFrame } from '../../ports.js';
import type { Cluster } from './cluster.js';
import * as paths from './paths.js';
import { type Asked, statusError } from './status-error.js';
import { type HttpAnswer, type HttpRequest, openTransport } from './transport.js';
import { decodeFrame, lineSplitter } from './watch-frames.js';
import { openWebSocket } from './web-socket.js';

/** Settings of a client. */
export type ClientOptions = Readonly<{
  /** `program/version`. */
  userAgent: string;
  /** From sending a request to the last byte of its answer; for long answers to their first. Default 30 s. */
  requestTimeoutMs?: number;
}>;

/** Any HTTP answer. */
export type RawAnswer = Readonly<{ status: number; headers: HttpAnswer['headers']; body: Buffer }>;

/** What the raw calls take; `body` is sent as it is. */
type RawOptions = Readonly<{
  query?: paths.Query;
  headers?: Readonly<Record<string, string>>;
  body?: string | Uint8Array;
  timeoutMs?: number;
}>;

/** KubePort and what only programs of people need. */
export type KubeClient = KubePort &
  Readonly<{
    cluster: Cluster;
    /** Any request; every HTTP answer is a Right, also a refusal (see `refusalOf`). */
    raw: (method: string, path: string, options?: RawOptions) => Effect<RawAnswer>;
    /** The bytes of a long answer as they come, such as a pod's followed log. A failure is one Left, then the end. */
    stream: (
      path: string,
      query?: paths.Query,
      headers?: Readonly<Record<string, string>>,
    ) => Observable<E.Either<EffectError, Uint8Array>>;
    /** An open WebSocket; unsubscribing before it is there gives up. It is the receiver's to close. */
    upgrade: (path: string, protocols: ReadonlyArray<string>, query?: paths.Query) => Effect<WebSocket>;
    /** Ends all connections. Requests in flight fail. */
    close: () => void;
  }>;

/** Request timeout where none is given, milliseconds. */
const REQUEST_TIMEOUT_MS = 30_000;

const List = t.type({
  metadata: t.intersection([t.type({ resourceVersion: t.string }), t.partial({ continue: t.string })]),
  items: t.UnknownArray,
});

const parseJson = (body: Buffer): unknown => {
  const text = body.toString('utf8');
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
};

const isSuccess = ({ status }: Readonly<{ status: number }>): boolean => status >= 200 && status < 300;

/** The error that an answer of `raw` stands for, if it does. `what` is verb and object: `get Run default/hello`. */
export const refusalOf = (what: string, answer: RawAnswer): EffectError | undefined =>
  isSuccess(answer) ? undefined : refusal({ what }, answer);

const refusal = (asked: Asked, { status, headers, body }: RawAnswer): EffectError =>
  statusError(asked, { status, body: parseJson(body), retryAfter: headers['retry-after'] });

const notAnObject = ({ what }: Asked, { status }: RawAnswer): EffectError => ({
  kind: 'Unavailable',
  message: `cannot ${what}: the server answered ${status} with something other than an object`,
  status,
});

/** The object in an answer of success. */
const objectIn = (asked: Asked, answer: RawAnswer): E.Either<EffectError, unknown> => {
  if (!isSuccess(answer)) return E.left(refusal(asked, answer));
  const body = parseJson(answer.body);
  return typeof body === 'object' && body !== null ? E.right(body) : E.left(notAnObject(asked, answer));
};

const BRACE = 0x7b;

/** Whether it was done, by the look of the answer: one that is no object is no API server's. */
const doneIn = (asked: Asked, answer: RawAnswer): E.Either<EffectError, undefined> => {
  if (!isSuccess(answer)) return E.left(refusal(asked, answer));
  return answer.body[0] === BRACE ? E.right(undefined) : E.left(notAnObject(asked, answer));
};

const pageIn = (asked: Asked, body: unknown): E.Either<EffectError, ListPage> => {
  const decoded = List.decode(body);
  if (E.isLeft(decoded))
    return E.left({
      kind: 'Unavailable',
      message: `cannot ${asked.what}: the server did not answer with a list`,
    });
  const { metadata, items } = decoded.right;
  return E.right({
    items,
    resourceVersion: metadata.resourceVersion,
    ...(metadata.continue ? { continue: metadata.continue } : {}),
  });
};

/** A client for `cluster`; it opens no connection before its first call. */
export const kubeClient = (
  cluster: Cluster,
  { userAgent, requestTimeoutMs = REQUEST_TIMEOUT_MS }: ClientOptions,
): KubeClient => {
  const transport = openTransport(cluster, userAgent);

  const ask = (asked: Asked, request: Omit<HttpRequest, 'what'>, read = objectIn): Effect<unknown> =>
    transport
      .exchange({ what: asked.what, ...request }, requestTimeoutMs)
      .pipe(map((answer) => (E.isLeft(answer) ? answer : read(asked, answer.right))));

  const write = (
    asked: Asked,
    method: string,
    path: string,
    body: unknown,
    contentType = 'application/json',
    read = objectIn,
  ): Effect<unknown> =>
    ask(asked, { method, path, headers: { 'content-type': contentType }, body: JSON.stringify(body) }, read);

  const watch: KubePort['watch'] = (resource, selection, { resourceVersion, timeoutSeconds, idleMs }) =>
    new Observable<E.Either<EffectError, WatchFrame>>((subscriber) => {
      const asked = { what: `watch ${paths.describeCollection(resource, selection.namespace)}` };
      const fail = (error: EffectError): void => {
        subscriber.next(E.left(error));
        subscriber.complete();
      };
      const split = lineSplitter((line) => {
        if (subscriber.closed || line === '') return;
        const frame = decodeFrame(asked, line);
        if (E.isLeft(frame)) fail(frame.left);
        else subscriber.next(frame);
      });
      return transport.open(
        {
          what: asked.what,
          method: 'GET',
          path: paths.withQuery(paths.collectionPath(resource, selection.namespace), {
            ...paths.selectionQuery(selection),
            watch: 1,
            allowWatchBookmarks: true,
            resourceVersion,
            timeoutSeconds,
          }),
        },
        { headersMs: requestTimeoutMs, idleMs },
        {
          opened: () => subscriber.next(E.right({ type: 'BOOKMARK', resourceVersion })),
          chunk: (bytes) => {
            if (!split(bytes))
              fail({ kind: 'Unavailable', message: `cannot ${asked.what}: a line without end` });
          },
          ended: () => subscriber.complete(),
          refused: (answer) => fail(refusal(asked, answer)),
          failed: fail,
        },
      );
    });

  const stream: KubeClient['stream'] = (path, query = {}, headers = { accept: '*/*' }) =>
    new Observable((subscriber) => {
      const what = `read ${path}`;
      const fail = (error: EffectError): void => {
        subscriber.next(E.left(error));
        subscriber.complete();
      };
      return transport.open(
        { what, method: 'GET', path: paths.withQuery(path, query), headers },
        { headersMs: requestTimeoutMs },
        {
          opened: () => undefined,
          chunk: (bytes) => subscriber.next(E.right(bytes)),
          ended: () => subscriber.complete(),
          refused: (answer) => fail(refusal({ what }, answer)),
          failed: fail,
        },
      );
    });

  return {
    cluster,
    get: (resource, ref) =>
      ask(
        { what: `get ${paths.describeObject(resource, ref)}`, name: ref.name },
        { method: 'GET', path: paths.objectPath(resource, ref) },
      ),
    list: (resource, selection, page = {}) => {
      const asked = { what: `list ${paths.describeCollection(resource, selection.namespace)}` };
      const path = paths.withQuery(paths.collectionPath(resource, selection.namespace), {
        ...paths.selectionQuery(selection),
        ...page,
      });
      return ask(asked, { method: 'GET', path }).pipe(
        map((answer) => (E.isLeft(answer) ? answer : pageIn(asked, answer.right))),
      );
    },
    watch,
    create: (resource, namespace, body, { subresource, ...options } = {}) => {
      const name = nameOf(body);
      const what = `create ${paths.describeObject(resource, { namespace, name: name || '(unnamed)' })}`;
      const path =
        subresource === undefined
          ? paths.collectionPath(resource, namespace)
          : paths.objectPath(resource, { namespace, name }, subresource);
      return write(
        { what, ...(name === '' ? {} : { name }) },
        'POST',
        paths.withQuery(path, paths.writeQuery(options)),
        body,
      );
    },
    replace: (resource, ref, body, { subresource, ...options } = {}) =>
      write(
        { what: `update ${paths.describeObject(resource, ref)}`, name: ref.name },
        'PUT',
        paths.withQuery(paths.objectPath(resource, ref, subresource), paths.writeQuery(options)),
        body,
      ),
    patch: (resource, ref, patch, { subresource, isAnswerUnread = false, ...options } = {}) =>
      write(
        {
          what: `patch ${paths.describeObject(resource, ref)}`,
          name: ref.name,
          jsonPatch: patch.type === 'json',
        },
        'PATCH',
        paths.withQuery(paths.objectPath(resource, ref, subresource), {
          ...paths.writeQuery(options),
          ...applyQuery(patch),
        }),
        patch.body,
        paths.patchContentType[patch.type],
        isAnswerUnread ? doneIn : objectIn,
      ),
    delete: (resource, ref, options = {}) => {
      const body = paths.deleteBody(options);
      return ask(
        { what: `delete ${paths.describeObject(resource, ref)}`, name: ref.name },
        {
          method: 'DELETE',
          path: paths.objectPath(resource, ref),
          ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body }),
        },
      );
    },
    raw: (method, path, { query, headers, body, timeoutMs = requestTimeoutMs } = {}) =>
      transport.exchange(
        {
          what: `${method} ${path}`,
          method,
          path: paths.withQuery(path, query),
          ...(headers === undefined ? {} : { headers }),
          ...(body === undefined ? {} : { body }),
        },
        timeoutMs,
      ),
    stream,
    upgrade: (path, protocols, query = {}) =>
      openWebSocket(cluster, transport.headers, paths.withQuery(path, query), protocols, requestTimeoutMs),
    close: transport.close,
  };
};

const Named = t.type({ metadata: t.type({ name: t.string }) });

const nameOf = (body: unknown): string => {
  const decoded = Named.decode(body);
  return E.isRight(decoded) ? decoded.right.metadata.name : '';
};

const applyQuery = (patch: Patch): paths.Query =>
  patch.type === 'apply' ? { fieldManager: patch.fieldManager, force: patch.force } : {};
