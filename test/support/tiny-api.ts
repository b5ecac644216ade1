/**
 * An API of a few objects in memory, for the whole operator in virtual time: lists, watches, creates and merge patches,
 * each write answered a millisecond later and told to the watches. It counts the writes.
 */
import * as E from 'fp-ts/lib/Either.js';
import { map, type Observable, of, type SchedulerLike, Subject, timer } from 'rxjs';

import type { EffectError } from '../../src/model/effect-error.js';
import type { Resource } from '../../src/model/resource.js';
import type { KubePort, WatchFrame } from '../../src/ports.js';

type Json = Readonly<Record<string, unknown>>;

/** An object as the API has it. */
export type ApiObject = Json &
  Readonly<{ metadata: Json & Readonly<{ name: string; namespace: string; uid: string }> }>;

/** The API, and what tests do with it. */
export type TinyApi = Readonly<{
  kube: KubePort;
  /** Puts an object's next version, as some other client would. */
  put: (resource: Resource, object: ApiObject) => void;
  get: (resource: Resource, name: string) => ApiObject | undefined;
  /** Writes through `kube`: plural → how many. */
  writes: ReadonlyMap<string, number>;
}>;

const isRecord = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const typed = (list: ReadonlyArray<unknown>): ReadonlyMap<unknown, unknown> =>
  new Map(list.map((item) => [isRecord(item) ? item.type : item, item]));

/** Lists are replaced; in a strategic patch, which here is one of conditions, their items go by type. */
const merged = (target: unknown, patch: unknown, isStrategic: boolean): unknown => {
  if (isStrategic && Array.isArray(patch) && Array.isArray(target))
    return [...new Map([...typed(target), ...typed(patch)]).values()];
  if (!isRecord(patch)) return patch;
  const result: Record<string, unknown> = isRecord(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch))
    if (value === null) delete result[key];
    else result[key] = merged(result[key], value, isStrategic);
  return result;
};

const NOT_FOUND: EffectError = { kind: 'NotFound', message: 'there is none' };

/** An empty one. Its own timers are the clock's, too. */
export const tinyApi = (clock: SchedulerLike): TinyApi => {
  const kinds = new Map<string, Map<string, ApiObject>>();
  const watches = new Map<string, Subject<E.Either<EffectError, WatchFrame>>>();
  const writes = new Map<string, number>();
  let version = 0;
  const all = ({ plural }: Resource): Map<string, ApiObject> => {
    const known = kinds.get(plural) ?? new Map<string, ApiObject>();
    kinds.set(plural, known);
    return known;
  };
  const watchOf = ({ plural }: Resource): Subject<E.Either<EffectError, WatchFrame>> => {
    const known = watches.get(plural) ?? new Subject();
    watches.set(plural, known);
    return known;
  };
  const put = (resource: Resource, object: ApiObject): ApiObject => {
    version += 1;
    const type = all(resource).has(object.metadata.name) ? 'MODIFIED' : 'ADDED';
    const metadata = { ...object.metadata, resourceVersion: String(version) };
    const stored: ApiObject = { ...object, metadata };
    all(resource).set(metadata.name, stored);
    watchOf(resource).next(E.right({ type, object: stored }));
    return stored;
  };
  const write = (
    { plural }: Resource,
    answer: () => E.Either<EffectError, unknown>,
  ): Observable<E.Either<EffectError, unknown>> => {
    writes.set(plural, (writes.get(plural) ?? 0) + 1);
    return timer(1, clock).pipe(map(answer));
  };
  const kube: KubePort = {
    get: (resource, { name }) => of(E.fromNullable(NOT_FOUND)(all(resource).get(name))),
    list: (resource) =>
      timer(1, clock).pipe(
        map(() => E.right({ items: [...all(resource).values()], resourceVersion: String(version) })),
      ),
    watch: (resource) => watchOf(resource),
    create: (resource, namespace, body) =>
      write(resource, () => {
        const { metadata, ...rest } = body as ApiObject;
        return E.right(
          put(resource, {
            ...rest,
            metadata: {
              ...metadata,
              namespace,
              uid: `uid-${metadata.name}`,
              creationTimestamp: '1970-01-01T00:00:00Z',
            },
          }),
        );
      }),
    replace: (resource, _ref, body) => write(resource, () => E.right(put(resource, body as ApiObject))),
    patch: (resource, { name }, { type, body }) =>
      write(resource, () => {
        const known = all(resource).get(name);
        return known === undefined
          ? E.left(NOT_FOUND)
          : E.right(put(resource, merged(known, body, type === 'strategic') as ApiObject));
      }),
    delete: (resource, { name }) =>
      write(resource, () => {
        const known = all(resource).get(name);
        if (known === undefined) return E.left(NOT_FOUND);
        all(resource).delete(name);
        watchOf(resource).next(E.right({ type: 'DELETED', object: known }));
        return E.right(known);
      }),
  };
  return { kube, put, get: (resource, name) => all(resource).get(name), writes };
};
