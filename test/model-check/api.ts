/**
 * The model's API server: objects with versions, conflicts, watches that lag and are cut. One write is one step.
 *
 * Patches are applied by the code of the embedded server. What the CRD's CEL rules would refuse (a changed terminal
 * phase) is not refused here: the model is to see whether anybody would try.
 */
import * as E from 'fp-ts/lib/Either.js';
import { Observable } from 'rxjs';

import type { Json, JsonObject } from '../../src/embedded/api/json.js';
import { jsonPatch } from '../../src/embedded/api/patch/json-patch.js';
import { mergePatch } from '../../src/embedded/api/patch/merge-patch.js';
import type { EffectError, EffectErrorKind } from '../../src/model/effect-error.js';
import type { Resource } from '../../src/model/resource.js';
import type { KubePort, ObjectRef, Patch, Selection, WatchFrame } from '../../src/ports.js';
import { hash } from './hash.js';
import type { Post } from './post.js';
import type { Process } from './process.js';

/** An object as stored. */
export type Stored = JsonObject & {
  metadata: JsonObject & { name: string; namespace: string; uid: string; resourceVersion: string };
};

type Logged = Readonly<{
  version: number;
  plural: string;
  before: Stored | undefined;
  after: Stored | undefined;
}>;

type Watch = {
  readonly id: number;
  readonly plural: string;
  readonly selection: Selection;
  readonly owner: Process;
  readonly push: (logged: Logged) => void;
  readonly cut: (error?: EffectError) => void;
};

/** Told of each write: who made it, and what it did. */
export type Witness = (
  plural: string,
  before: Stored | undefined,
  after: Stored | undefined,
  by: string,
) => void;

/** Resources whose calls are part of the protocol; all others are answered at once. */
const OF_INTEREST = new Set(['runs', 'pods']);

export const fault = (kind: EffectErrorKind, message: string): EffectError => ({ kind, message });
const UNAVAILABLE = fault('Unavailable', 'the connection was reset');

const valueAt = (object: unknown, path: string): string => {
  let value: unknown = object;
  for (const part of path.split('.'))
    value =
      typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[part] : undefined;
  return value === undefined ? '' : String(value);
};

const matches = (object: Stored | undefined, { fieldSelector }: Selection): boolean =>
  object !== undefined &&
  (fieldSelector ?? '')
    .split(',')
    .filter((term) => term !== '')
    .every((term) => {
      const isNot = term.includes('!=');
      const [path = '', value = ''] = term.split(isNot ? '!=' : '=');
      return (valueAt(object, path) === value) !== isNot;
    });

/** Conditions are merged by type, as a strategic merge patch does; the rest as a merge patch. */
const strategic = (target: JsonObject, patch: JsonObject): Json => {
  const status = patch.status as JsonObject | undefined;
  const conditions = (status?.conditions ?? []) as JsonObject[];
  const known = ((target.status as JsonObject | undefined)?.conditions ?? []) as JsonObject[];
  const kept = known.filter(({ type }) => !conditions.some((c) => c.type === type));
  return mergePatch(target, { ...patch, status: { ...status, conditions: [...kept, ...conditions] } });
};

export class Api {
  isUp = true;
  readonly #post: Post;
  readonly #nowMs: () => number;
  readonly #witness: Witness;
  readonly #objects = new Map<string, Map<string, Stored>>();
  #log: Logged[] = [];
  #version = 1000;
  #calls = 0;
  readonly #watches = new Set<Watch>();
  readonly #open = new Map<number, () => void>();
  /** Over all writes. */
  #digest = '';

  constructor(post: Post, nowMs: () => number, witness: Witness) {
    this.#post = post;
    this.#nowMs = nowMs;
    this.#witness = witness;
  }

  get digest(): string {
    const watches = [...this.#watches].map(
      (w) => `${w.owner.id}${w.plural}${w.selection.fieldSelector ?? ''}`,
    );
    return `${this.isUp}${this.#digest}${watches.sort().join()}`;
  }

  all(plural: string): ReadonlyArray<Stored> {
    return [...(this.#objects.get(plural)?.values() ?? [])];
  }

  get(plural: string, name: string): Stored | undefined {
    return this.#objects.get(plural)?.get(`default/${name}`);
  }

  /** Puts what is changed, or removes; told to all watches. */
  write(plural: string, key: string, after: Stored | undefined, by: string): Stored | undefined {
    const objects = this.#objects.get(plural) ?? new Map<string, Stored>();
    this.#objects.set(plural, objects);
    const before = objects.get(key);
    this.#version += 1;
    const resourceVersion = String(this.#version);
    const stored = after && { ...after, metadata: { ...after.metadata, resourceVersion } };
    if (stored) objects.set(key, stored);
    else objects.delete(key);
    const logged: Logged = { version: this.#version, plural, before, after: stored };
    this.#log.push(logged);
    this.#digest = hash(`${this.#digest}${plural}${JSON.stringify(stored ?? key)}`);
    this.#witness(plural, before, stored, by);
    for (const watch of this.#watches) watch.push(logged);
    return stored;
  }

  /** A new object. */
  create(plural: string, body: JsonObject, by: string): E.Either<EffectError, Stored> {
    const { name, namespace = 'default', ...metadata } = body.metadata as JsonObject;
    const key = `${String(namespace)}/${String(name)}`;
    if (this.#objects.get(plural)?.has(key)) return E.left(fault('AlreadyExists', `${key} exists`));
    const object = {
      ...body,
      metadata: {
        ...metadata,
        name: String(name),
        namespace: String(namespace),
        uid: `${String(name)}-${this.#version + 1}`,
        creationTimestamp: new Date(this.#nowMs()).toISOString().slice(0, 19) + 'Z',
        generation: 1,
        resourceVersion: '',
      },
    } as Stored;
    return E.right(this.write(plural, key, object, by) as Stored);
  }

  #change(
    plural: string,
    { namespace, name }: ObjectRef,
    patch: Patch,
    subresource: string | undefined,
    by: string,
  ): E.Either<EffectError, unknown> {
    const key = `${namespace}/${name}`;
    const before = this.#objects.get(plural)?.get(key);
    if (before === undefined) return E.left(fault('NotFound', `${key} is not there`));
    const body = patch.body as Json;
    if (patch.type !== 'json') {
      const { resourceVersion, uid } = ((body as JsonObject).metadata ?? {}) as JsonObject;
      if (resourceVersion !== undefined && resourceVersion !== before.metadata.resourceVersion)
        return E.left(fault('Conflict', `${key} has moved`));
      if (uid !== undefined && uid !== before.metadata.uid)
        return E.left(fault('Conflict', `${key} is another`));
    }
    let patched: Stored;
    try {
      patched = (
        patch.type === 'json'
          ? jsonPatch(before, body)
          : patch.type === 'strategic'
            ? strategic(before, body as JsonObject)
            : mergePatch(before, body)
      ) as Stored;
    } catch {
      return E.left(fault('Conflict', `a test of the patch of ${key} does not hold`));
    }
    const after: Stored =
      subresource === 'status'
        ? ({ ...before, status: patched.status } as Stored)
        : ({ ...patched, metadata: { ...patched.metadata, resourceVersion: '' } } as Stored);
    if (JSON.stringify({ ...after, metadata: 0 }) === JSON.stringify({ ...before, metadata: 0 }))
      if (JSON.stringify(after.metadata.annotations) === JSON.stringify(before.metadata.annotations))
        return E.right(before);
    return E.right(this.write(plural, key, after, by));
  }

  /** What a user does, at once. */
  patch(plural: string, name: string, body: JsonObject): void {
    this.#change(plural, { namespace: 'default', name }, { type: 'merge', body }, undefined, 'user');
  }

  /** What a kubelet says, at once. */
  patchStatus(plural: string, name: string, status: JsonObject): void {
    const ref = { namespace: 'default', name };
    this.#change(plural, ref, { type: 'strategic', body: { status } }, 'status', 'kubelet');
  }

  remove(plural: string, name: string, isGraceful: boolean, by: string): void {
    const key = `default/${name}`;
    const before = this.#objects.get(plural)?.get(key);
    if (before === undefined) return;
    if (!isGraceful) {
      this.write(plural, key, undefined, by);
      return;
    }
    if (before.metadata.deletionTimestamp !== undefined) return;
    const deletionTimestamp = new Date(this.#nowMs()).toISOString();
    this.write(plural, key, { ...before, metadata: { ...before.metadata, deletionTimestamp } }, by);
  }

  /** Ends everything under way, as a kill -9 does: what was asked may have been done. */
  crash(): void {
    this.isUp = false;
    for (const fail of [...this.#open.values()]) fail();
    this.cutWatches(() => true, UNAVAILABLE);
  }

  /** Ends watches; with no error it is a close in good order. */
  cutWatches(which: (owner: Process) => boolean, error?: EffectError): void {
    for (const watch of [...this.#watches]) if (which(watch.owner)) watch.cut(error);
  }

  /** Forgets old versions: who resumes from one of them gets 410. */
  compact(): void {
    this.#log = [];
  }

  /** The API as this process sees it. */
  portOf(owner: Process): KubePort {
    /** Two steps, each of which may be late or be lost: the request arrives, the answer arrives. */
    const call = <A>(
      plural: string,
      label: string,
      serve: () => E.Either<EffectError, A>,
    ): Observable<E.Either<EffectError, A>> =>
      new Observable((caller) => {
        this.#calls += 1;
        const id = this.#calls;
        const channel = `call ${id}`;
        const isQuiet = !OF_INTEREST.has(plural) || label.startsWith('ready ');
        let isOver = false;
        const answer = (result: E.Either<EffectError, A>, lost: () => void): void => {
          const what = E.isLeft(result) ? result.left.kind : 'ok';
          this.#post.send({
            channel,
            label: `${owner.id} < ${what} ${label} ${this.#version}`,
            to: () => owner,
            isQuiet,
            run: () => {
              this.#open.delete(id);
              if (isOver) return;
              isOver = true;
              caller.next(result);
              caller.complete();
            },
            lose: lost,
          });
        };
        const fail = (): void => {
          this.#post.drop(channel);
          answer(E.left(UNAVAILABLE), fail);
        };
        this.#open.set(id, fail);
        this.#post.send({
          channel,
          label: `${owner.id} > ${label}`,
          isQuiet,
          run: () => answer(this.isUp && !owner.isCutOff ? serve() : E.left(UNAVAILABLE), fail),
          lose: fail,
        });
        return () => {
          isOver = true;
        };
      });

    return {
      get: ({ plural }, { namespace, name }) =>
        call(plural, `get ${plural} ${name}`, () => {
          const object = this.#objects.get(plural)?.get(`${namespace}/${name}`);
          return object ? E.right(object) : E.left(fault('NotFound', `${name} is not there`));
        }),
      list: ({ plural }, selection) =>
        call(plural, `list ${plural} ${selection.fieldSelector ?? ''}`, () =>
          E.right({
            items: this.all(plural).filter((object) => matches(object, selection)),
            resourceVersion: String(this.#version),
          }),
        ),
      watch: (resource, selection, { resourceVersion }) =>
        this.#watch(owner, resource, selection, Number(resourceVersion)),
      create: ({ plural }, _namespace, body) =>
        call(plural, `create ${plural} ${String((body as Stored).metadata.name)}`, () =>
          this.create(plural, body as JsonObject, owner.id),
        ),
      replace: ({ plural }) =>
        call(plural, `replace ${plural}`, () => E.left(fault('Invalid', 'nobody replaces here'))),
      patch: ({ plural }, ref, patch, options) =>
        call(plural, labelOf(plural, ref.name, patch), () =>
          OF_INTEREST.has(plural) || plural === 'runtimes'
            ? this.#change(plural, ref, patch, options?.subresource, owner.id)
            : E.right({}),
        ),
      delete: ({ plural }, { name }, options) =>
        call(plural, `delete ${plural} ${name}`, () => {
          const object = this.get(plural, name);
          if (object === undefined) return E.left(fault('NotFound', `${name} is not there`));
          if (options?.uid !== undefined && object.metadata.uid !== options.uid)
            return E.left(fault('Conflict', `${name} is another`));
          this.remove(plural, name, plural === 'pods', owner.id);
          return E.right({});
        }),
    };
  }

  #watch(
    owner: Process,
    { plural }: Resource,
    selection: Selection,
    from: number,
  ): Observable<E.Either<EffectError, WatchFrame>> {
    return new Observable((reader) => {
      this.#calls += 1;
      const id = this.#calls;
      const channel = `watch ${id}`;
      const isQuiet = !OF_INTEREST.has(plural);
      const say = (label: string, run: () => void): void =>
        this.#post.send({
          channel,
          label: `${owner.id} < watch ${plural} ${label}`,
          to: () => owner,
          isQuiet,
          run,
        });
      const cut = (error?: EffectError): void => {
        if (!this.#watches.delete(watch)) return;
        say(error?.kind ?? 'closed', () => {
          if (error) reader.next(E.left(error));
          reader.complete();
        });
      };
      const push = (logged: Logged): void => {
        if (logged.plural !== plural) return;
        const [was, is] = [matches(logged.before, selection), matches(logged.after, selection)];
        if (!was && !is) return;
        const type = is ? (was ? 'MODIFIED' : 'ADDED') : 'DELETED';
        const shown = (is ? logged.after : logged.before) as Stored;
        const object = {
          ...shown,
          metadata: { ...shown.metadata, resourceVersion: String(logged.version) },
        };
        say(`${type} ${shown.metadata.name} ${logged.version}`, () => reader.next(E.right({ type, object })));
      };
      const watch: Watch = { id, plural, selection, owner, push, cut };
      this.#watches.add(watch);
      if (!this.isUp || owner.isCutOff) cut(UNAVAILABLE);
      else if (from < (this.#log[0]?.version ?? this.#version + 1) - 1) cut(fault('Gone', 'too old'));
      else {
        say('open', () => reader.next(E.right({ type: 'BOOKMARK', resourceVersion: String(from) })));
        for (const logged of this.#log) if (logged.version > from) push(logged);
      }
      return () => {
        this.#watches.delete(watch);
        this.#post.drop(channel);
      };
    });
  }
}

const labelOf = (plural: string, name: string, patch: Patch): string => {
  if (plural === 'pods' && patch.type === 'strategic')
    return `ready ${name} ${hash(JSON.stringify(patch.body))}`;
  const body = JSON.stringify(patch.body);
  const phase = /"phase":"(\w+)"|"path":"\/status\/phase","value":"(\w+)"}(?=]|,\{"op":"(?:add|rem))/.exec(
    body,
  );
  return `patch ${plural} ${name} ${phase?.[1] ?? phase?.[2] ?? ''} ${hash(body)}`;
};
