/** Api over the Kubernetes client. */
import * as E from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';
import { map, Observable } from 'rxjs';

import { type KubeClient, refusalOf } from '../../io/kube/client.js';
import * as paths from '../../io/kube/paths.js';
import { forwardPort } from '../../io/kube/port-forward.js';
import { decodeFrame, lineSplitter } from '../../io/kube/watch-frames.js';
import type { EffectError } from '../../model/effect-error.js';
import type { Resource } from '../../model/resource.js';
import { pods } from '../../model/resources.js';
import type { Effect, ListPage, ObjectRef, Selection, WatchFrame } from '../../ports.js';
import { failureOf } from '../failure.js';
import type { Api, Table, Watched } from './api.js';
import { decodeTable, TABLE_ACCEPT } from './table.js';
import { throughSocket } from './through-socket.js';
import { IDLE_MS, type Source, WATCH_SECONDS, watchObjects } from './watch-objects.js';

/** Objects per page: few round trips, and no answer that takes a server long. */
const PAGE = 500;

/** Told of each request for `-v`. */
export type RequestLog = (line: string) => void;

const WithMetadata = t.type({
  metadata: t.type({ name: t.string, uid: t.string, resourceVersion: t.string }),
});

const watched = (object: unknown): Watched | undefined => {
  const decoded = WithMetadata.decode(object);
  return E.isRight(decoded) ? { ...decoded.right.metadata, object } : undefined;
};

const isObjectRef = (what: Selection | ObjectRef): what is ObjectRef => 'name' in what;

/** A failure of a call, thrown. */
const thrown = <A>(effect: Effect<A>): Promise<A> =>
  new Promise((resolve, reject) => {
    effect.subscribe({
      next: (answer) => (E.isRight(answer) ? resolve(answer.right) : reject(failureOf(answer.left))),
      error: reject,
    });
  });

/** All pages of a list; begun anew, unpaged, when the server forgot the version in between. */
const allPages = <P extends Readonly<{ continue?: string | undefined }>, A>(
  page: (options: Readonly<{ limit?: number; continue?: string }>) => Effect<P>,
  join: (pages: ReadonlyArray<P>) => A,
): Effect<A> =>
  new Observable((subscriber) => {
    const pages: P[] = [];
    let whole = false;
    const done = (answer: E.Either<EffectError, A>): void => {
      subscriber.next(answer);
      subscriber.complete();
    };
    const next = (from?: string): void => {
      const options = whole ? {} : { limit: PAGE, ...(from === undefined ? {} : { continue: from }) };
      subscriber.add(
        page(options).subscribe((answer) => {
          if (E.isLeft(answer)) {
            if (answer.left.kind !== 'Gone' || from === undefined || whole) return done(answer);
            whole = true;
            pages.length = 0;
            return next();
          }
          pages.push(answer.right);
          if (answer.right.continue) next(answer.right.continue);
          else done(E.right(join(pages)));
        }),
      );
    };
    next();
  });

/** The Api of a client; `log` is told verb, path and time of every request. */
export const kubeApi = (kube: KubeClient, log?: RequestLog): Api => {
  const logged = <A>(line: string, effect: Effect<A>): Effect<A> => {
    if (!log) return effect;
    const startedMs = performance.now();
    return effect.pipe(
      map((answer) => {
        const outcome = E.isRight(answer) ? 'ok' : `${answer.left.kind} ${answer.left.status ?? ''}`.trim();
        log(`${line}: ${outcome} in ${Math.round(performance.now() - startedMs)} ms`);
        return answer;
      }),
    );
  };

  const tablePage = (
    resource: Resource,
    what: Selection | ObjectRef,
    page: Readonly<{ limit?: number; continue?: string }>,
  ) => {
    const one = isObjectRef(what);
    const asked = one
      ? `get ${paths.describeObject(resource, what)}`
      : `list ${paths.describeCollection(resource, what.namespace)}`;
    const path = one ? paths.objectPath(resource, what) : paths.collectionPath(resource, what.namespace);
    const query = one ? {} : { ...paths.selectionQuery(what), ...page };
    return logged(
      `GET ${paths.withQuery(path, query)}`,
      kube.raw('GET', path, { query, headers: { accept: TABLE_ACCEPT } }).pipe(
        map((answer) => {
          if (E.isLeft(answer)) return answer;
          const refusal = refusalOf(asked, answer.right);
          if (refusal) return E.left(refusal);
          return E.flatMap(
            E.tryCatch(
              (): unknown => JSON.parse(answer.right.body.toString('utf8')),
              (): EffectError => ({ kind: 'Invalid', message: `cannot ${asked}: the server sent no JSON` }),
            ),
            (body) => decodeTable(asked, body),
          );
        }),
      ),
    );
  };

  const wholeTable = (resource: Resource, what: Selection | ObjectRef): Effect<Table> =>
    allPages(
      (page) => tablePage(resource, what, page),
      (pages): Table => ({
        columns: pages[0]?.columns ?? [],
        rows: pages.flatMap(({ rows }) => rows),
        resourceVersion: pages.at(-1)?.resourceVersion ?? '',
      }),
    );

  const wholeList = (resource: Resource, selection: Selection) =>
    allPages(
      (page) =>
        logged(
          `GET ${paths.withQuery(paths.collectionPath(resource, selection.namespace), { ...paths.selectionQuery(selection), ...page })}`,
          kube.list(resource, selection, page),
        ),
      (pages: ReadonlyArray<ListPage>) => ({
        items: pages.flatMap(({ items }) => items),
        resourceVersion: pages.at(-1)?.resourceVersion ?? '',
      }),
    );

  const watch = (resource: Resource, selection: Selection) => (resourceVersion: string) => {
    log?.(
      `GET ${paths.withQuery(paths.collectionPath(resource, selection.namespace), { ...paths.selectionQuery(selection), watch: 1, resourceVersion })}`,
    );
    return kube.watch(resource, selection, {
      resourceVersion,
      timeoutSeconds: WATCH_SECONDS,
      idleMs: IDLE_MS,
    });
  };

  return {
    server: kube.cluster.server.origin,
    get: (resource, ref) => thrown(logged(`GET ${paths.objectPath(resource, ref)}`, kube.get(resource, ref))),
    list: (resource, selection) => thrown(wholeList(resource, selection)),
    table: (resource, what) => thrown(wholeTable(resource, what)),
    create: (resource, namespace, body, options = {}) =>
      thrown(
        logged(
          `POST ${paths.withQuery(paths.collectionPath(resource, namespace), paths.writeQuery(options))}`,
          kube.create(resource, namespace, body, options),
        ),
      ),
    patch: (resource, ref, patch, options = {}) =>
      thrown(logged(`PATCH ${paths.objectPath(resource, ref)}`, kube.patch(resource, ref, patch, options))),
    delete: (resource, ref, options = {}) =>
      thrown(logged(`DELETE ${paths.objectPath(resource, ref)}`, kube.delete(resource, ref, options))),
    openPort: (pod, port) =>
      thrown(
        logged(
          `GET ${paths.objectPath(pods, pod, 'portforward')}?ports=${port}`,
          forwardPort(kube, pod, port),
        ),
      ).then(throughSocket),
    podLog: (pod, options, chunk) => {
      const path = paths.objectPath(pods, pod, 'log');
      log?.(`GET ${paths.withQuery(path, options)}`);
      let stop: () => void = () => undefined;
      const done = new Promise<void>((resolve, reject) => {
        const subscription = kube.stream(path, options).subscribe({
          next: (answer) => {
            if (E.isLeft(answer)) reject(failureOf(answer.left));
            else chunk(answer.right);
          },
          complete: resolve,
        });
        stop = () => {
          subscription.unsubscribe();
          resolve();
        };
      });
      return { done, stop };
    },
    watch: (resource, selection, ears) => {
      const source: Source<Watched> = {
        list: () =>
          wholeList(resource, selection).pipe(
            map((answer) =>
              E.isLeft(answer)
                ? answer
                : E.right({
                    ...answer.right,
                    items: answer.right.items.flatMap((item) => watched(item) ?? []),
                  }),
            ),
          ),
        watch: watch(resource, selection),
        read: watched,
        identify: (item) => item,
      };
      return watchObjects(source, ears);
    },
    watchTable: (resource, selection, ears) =>
      watchObjects(
        {
          list: () =>
            wholeTable(resource, selection).pipe(
              map((answer) => {
                if (E.isLeft(answer)) return answer;
                ears.columns(answer.right.columns);
                return E.right({ items: answer.right.rows, resourceVersion: answer.right.resourceVersion });
              }),
            ),
          watch: (resourceVersion) => {
            const path = paths.collectionPath(resource, selection.namespace);
            const query = {
              ...paths.selectionQuery(selection),
              watch: 1,
              allowWatchBookmarks: true,
              resourceVersion,
              timeoutSeconds: WATCH_SECONDS,
            };
            log?.(`GET ${paths.withQuery(path, query)}`);
            return frames(
              { what: `watch ${paths.describeCollection(resource, selection.namespace)}` },
              kube.stream(path, query, { accept: TABLE_ACCEPT }),
            );
          },
          read: (object) => {
            const table = decodeTable('watch', object);
            return E.isRight(table) ? table.right.rows[0] : undefined;
          },
          identify: (row) => row,
        },
        ears,
      ),
  };
};

/** The bytes of a watch as frames; the first failure ends it. */
const frames = (asked: Readonly<{ what: string }>, bytes$: ReturnType<KubeClient['stream']>) =>
  new Observable<E.Either<EffectError, WatchFrame>>((subscriber) => {
    const split = lineSplitter((line) => {
      if (line === '' || subscriber.closed) return;
      const frame = decodeFrame(asked, line);
      subscriber.next(frame);
      if (E.isLeft(frame)) subscriber.complete();
    });
    return bytes$.subscribe({
      next: (answer) => {
        if (E.isLeft(answer)) subscriber.next(answer);
        else if (!split(Buffer.from(answer.right)))
          subscriber.next(
            E.left({ kind: 'Unavailable', message: `cannot ${asked.what}: a line without end` }),
          );
      },
      complete: () => subscriber.complete(),
    });
  });
