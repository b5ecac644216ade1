/**
 * An in-memory KubePort for the kubelet's tests: pods with resource versions, status apart from spec, graceful
 * deletion, merge patches, tokens, and watches that deliver at once. The real thing is the embedded API server.
 */
import * as E from 'fp-ts/lib/Either.js';
import { Observable, of, Subject } from 'rxjs';

import type { EffectError } from '../../../src/model/effect-error.js';
import type { Resource } from '../../../src/model/resource.js';
import type { Effect, KubePort, ObjectRef, WatchFrame } from '../../../src/ports.js';

type Json = { [key: string]: unknown };
type Kept = Json & {
  metadata: Json & { name: string; namespace: string; uid: string; resourceVersion: string };
};

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const merged = (target: unknown, patch: unknown): unknown => {
  if (!isObject(patch)) return patch;
  const result: Json = isObject(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch))
    if (value === null) delete result[key];
    else result[key] = merged(result[key], value);
  return result;
};

const refused = (kind: EffectError['kind'], message: string): E.Either<EffectError, never> =>
  E.left({ kind, message });

export class FakeKube implements KubePort {
  readonly #objects = new Map<string, Kept>();
  readonly #frames = new Subject<Readonly<{ plural: string; frame: WatchFrame }>>();
  readonly #leaps = new Subject<void>();
  readonly tokenRequests: Json[] = [];
  #version = 0;
  /** Lifetime of issued tokens, milliseconds. */
  tokenLifeMs = 3_600_000;

  readonly get: KubePort['get'] = (resource, ref) =>
    this.#answer(() => {
      const found = this.#objects.get(this.#key(resource, ref));
      return found === undefined
        ? refused('NotFound', `${resource.kind} ${ref.name} not found`)
        : E.right(found);
    });

  readonly list: KubePort['list'] = (resource) =>
    this.#answer(() => E.right({ items: this.all(resource.plural), resourceVersion: String(this.#version) }));

  readonly watch: KubePort['watch'] = (resource, _selection, { resourceVersion }) =>
    new Observable((subscriber) => {
      // What was written between the list and this watch.
      for (const object of this.all(resource.plural))
        if (Number(object.metadata.resourceVersion) > Number(resourceVersion))
          subscriber.next(E.right({ type: 'MODIFIED', object }));
      const leaping = this.#leaps.subscribe(() => {
        subscriber.next(refused('Gone', 'too old resource version'));
        subscriber.complete();
      });
      leaping.add(
        this.#frames.subscribe(({ plural, frame }) => {
          if (plural === resource.plural) subscriber.next(E.right(frame));
        }),
      );
      return leaping;
    });

  readonly create: KubePort['create'] = (resource, namespace, body, options) =>
    this.#answer<unknown>(() => {
      const given = merged({}, body);
      if (!isObject(given) || !isObject(given.metadata)) return refused('Invalid', 'no metadata');
      if (options?.subresource === 'token') {
        this.tokenRequests.push(given);
        const resourceVersion = String(this.#version);
        this.#frames.next({ plural: 'tokens', frame: { type: 'BOOKMARK', resourceVersion } });
        const expirationTimestamp = new Date(Date.now() + this.tokenLifeMs).toISOString();
        return E.right({ status: { token: `token-${this.tokenRequests.length}`, expirationTimestamp } });
      }
      if (options?.subresource === 'binding') {
        const name = String(given.metadata.name);
        const key = this.#key(resource, { namespace, name });
        const found = this.#objects.get(key);
        if (found === undefined || !isObject(given.target)) return refused('NotFound', `${name} not found`);
        const nodeName = given.target.name;
        this.#keep(resource, 'MODIFIED', key, { ...found, spec: merged(found.spec, { nodeName }) });
        return E.right({ kind: 'Status', status: 'Success' });
      }
      const generated =
        typeof given.metadata.generateName === 'string'
          ? `${given.metadata.generateName}${this.#version}`
          : '';
      const name = typeof given.metadata.name === 'string' ? given.metadata.name : generated;
      const key = this.#key(resource, { namespace, name });
      if (this.#objects.has(key)) return refused('AlreadyExists', `${name} exists`);
      return E.right(
        this.#keep(resource, 'ADDED', key, {
          ...given,
          metadata: {
            uid: `uid-${resource.plural}-${name}-${this.#version}`,
            ...given.metadata,
            name,
            namespace,
            resourceVersion: '',
          },
        }),
      );
    });

  readonly replace: KubePort['replace'] = () => of(refused('Invalid', 'the kubelet replaces nothing'));

  readonly patch: KubePort['patch'] = (resource, ref, { type, body }, options) =>
    this.#answer(() => {
      const key = this.#key(resource, ref);
      const found = this.#objects.get(key);
      if (found === undefined) return refused('NotFound', `${resource.kind} ${ref.name} not found`);
      if (type !== 'merge' || !isObject(body)) return refused('Invalid', 'only merge patches here');
      const metadata = isObject(body.metadata) ? body.metadata : {};
      if (
        metadata.resourceVersion !== undefined &&
        metadata.resourceVersion !== found.metadata.resourceVersion
      )
        return refused('Conflict', `${ref.name} has changed`);
      const isStatus = options?.subresource === 'status';
      const next = isStatus
        ? { ...found, status: merged(found.status, body.status) }
        : {
            ...found,
            ...(merged({ ...found, status: undefined }, body) as Json),
            status: found.status,
            metadata: { ...found.metadata, ...metadata },
          };
      return E.right(this.#keep(resource, 'MODIFIED', key, next));
    });

  readonly delete: KubePort['delete'] = (resource, ref, options) =>
    this.#answer(() => {
      const key = this.#key(resource, ref);
      const found = this.#objects.get(key);
      if (found === undefined) return refused('NotFound', `${ref.name} not found`);
      if (options?.uid !== undefined && options.uid !== found.metadata.uid)
        return refused('Conflict', 'another uid');
      const grace = options?.gracePeriodSeconds ?? 30;
      const isBound = isObject(found.spec) && typeof found.spec.nodeName === 'string';
      if (resource.plural === 'pods' && isBound && grace > 0)
        return E.right(
          this.#keep(resource, 'MODIFIED', key, {
            ...found,
            metadata: {
              ...found.metadata,
              deletionTimestamp: new Date(Date.now() + grace * 1000).toISOString(),
              deletionGracePeriodSeconds: grace,
            },
          }),
        );
      this.#objects.delete(key);
      this.#version += 1;
      const last = { ...found, metadata: { ...found.metadata, resourceVersion: String(this.#version) } };
      this.#frames.next({ plural: resource.plural, frame: { type: 'DELETED', object: last } });
      return E.right(last);
    });

  /** All objects of a kind. */
  all(plural: string): ReadonlyArray<Kept> {
    return [...this.#objects].filter(([key]) => key.startsWith(`${plural}/`)).map(([, object]) => object);
  }

  /** Copies all objects; the function puts them back, a leap of versions further on (ADR 0028), and ends all watches. */
  copy(): () => void {
    const objects = new Map(this.#objects);
    return () => {
      this.#objects.clear();
      for (const [key, object] of objects) this.#objects.set(key, object);
      this.#version += 1000;
      this.#leaps.next();
    };
  }

  /** Resolves with the first answer of `find`, now or after some write, that is not undefined. */
  until<A>(find: () => A | undefined): Promise<A> {
    return new Promise((resolve) => {
      const look = (): boolean => {
        const found = find();
        if (found !== undefined) resolve(found);
        return found !== undefined;
      };
      if (look()) return;
      const subscription = this.#frames.subscribe(() => {
        if (look()) subscription.unsubscribe();
      });
    });
  }

  #key({ plural }: Resource, { namespace, name }: ObjectRef): string {
    return `${plural}/${namespace}/${name}`;
  }

  #keep(resource: Resource, type: 'ADDED' | 'MODIFIED', key: string, object: Json): Kept {
    this.#version += 1;
    const metadata = isObject(object.metadata) ? object.metadata : {};
    const kept = { ...object, metadata: { ...metadata, resourceVersion: String(this.#version) } } as Kept;
    this.#objects.set(key, kept);
    this.#frames.next({ plural: resource.plural, frame: { type, object: kept } });
    return kept;
  }

  /** As over a network: never before the caller has returned. */
  #answer<A>(answer: () => E.Either<EffectError, A>): Effect<A> {
    return new Observable((subscriber) => {
      setImmediate(() => {
        subscriber.next(answer());
        subscriber.complete();
      });
    });
  }
}
