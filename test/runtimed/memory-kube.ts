/** The API at the edge of runtimed, in memory: one kind of object, real JSON patches, versions, and a switch. */

import jsonPatch from 'fast-json-patch';
import * as E from 'fp-ts/lib/Either.js';
import { defer, filter, map, merge, type Observable, of, Subject } from 'rxjs';

import type { EffectError } from '../../src/model/effect-error.js';
import { Run } from '../../src/model/run.js';
import type { Effect, Patch, WatchFrame } from '../../src/ports.js';
import type { RuntimedKube } from '../../src/runtimed/program.js';

export type StoredRun = {
  metadata: {
    name: string;
    namespace: string;
    uid: string;
    resourceVersion: string;
    creationTimestamp: string;
  };
  spec: Record<string, unknown>;
  status?: Record<string, unknown>;
};

/** One write as it came. */
export type Write = Readonly<{ name: string; patch: Patch; accepted: boolean; phase: unknown }>;

const AWAY: EffectError = { kind: 'Unavailable', message: 'the API is away' };

export class MemoryKube implements RuntimedKube {
  readonly #runs = new Map<string, StoredRun>();
  readonly #changes = new Subject<StoredRun>();
  readonly #writes = new Subject<Write>();
  readonly writes: Write[] = [];
  /** While true every call fails as if nothing listened. */
  isAway = false;
  watches = 0;
  lists = 0;
  #version = 1;

  /** All changes of Runs, as stored. */
  get changes$(): Observable<StoredRun> {
    return this.#changes;
  }

  get writes$(): Observable<Write> {
    return this.#writes;
  }

  /** Stores a Run, new or changed, as somebody else's write. */
  put(run: StoredRun): StoredRun {
    this.#version += 1;
    const stored = structuredClone(run);
    stored.metadata.resourceVersion = String(this.#version);
    this.#runs.set(stored.metadata.name, stored);
    this.#changes.next(stored);
    return stored;
  }

  read(name: string): StoredRun {
    const run = this.#runs.get(name);
    if (!run) throw new Error(`no Run ${name}`);
    return structuredClone(run);
  }

  remove(name: string): void {
    this.#runs.delete(name);
  }

  /** The Run as soon as `wanted` holds for it. */
  until(name: string, wanted: (run: StoredRun) => boolean): Promise<StoredRun> {
    return new Promise((resolve) => {
      const subscription = merge(
        defer(() => of(...this.#runs.values())),
        this.#changes,
      )
        .pipe(filter((run) => run.metadata.name === name && wanted(run)))
        .subscribe((run) => {
          resolve(structuredClone(run));
          queueMicrotask(() => subscription.unsubscribe());
        });
    });
  }

  get: RuntimedKube['get'] = (_resource, { name }) => this.#call(() => this.#find(name));

  list: RuntimedKube['list'] = () =>
    this.#call(() => {
      this.lists += 1;
      return E.right({
        items: structuredClone([...this.#runs.values()].filter(isActive)),
        resourceVersion: String(this.#version),
      });
    });

  watch: RuntimedKube['watch'] = () =>
    defer(() => {
      this.watches += 1;
      return this.isAway
        ? of(E.left(AWAY))
        : merge(
            of(
              E.right<EffectError, WatchFrame>({ type: 'BOOKMARK', resourceVersion: String(this.#version) }),
            ),
            this.#changes.pipe(
              map((run) =>
                E.right<EffectError, WatchFrame>({
                  type: isActive(run) ? 'MODIFIED' : 'DELETED',
                  object: structuredClone(run),
                }),
              ),
            ),
          );
    });

  patch: RuntimedKube['patch'] = (_resource, { name }, patch) =>
    this.#call(() => {
      const found = this.#find(name);
      if (E.isLeft(found)) return found;
      const answer = patched(found.right, patch);
      if (E.isRight(answer)) this.put(answer.right);
      const write: Write = {
        name,
        patch,
        accepted: E.isRight(answer),
        phase: E.isRight(answer) ? answer.right.status?.phase : undefined,
      };
      this.writes.push(write);
      this.#writes.next(write);
      return answer;
    });

  #find(name: string): E.Either<EffectError, StoredRun> {
    const run = this.#runs.get(name);
    return run ? E.right(structuredClone(run)) : E.left({ kind: 'NotFound', message: `no Run ${name}` });
  }

  #call<A>(answer: () => E.Either<EffectError, A>): Effect<A> {
    // A turn later, as over a socket.
    return defer(() => Promise.resolve().then(() => (this.isAway ? E.left(AWAY) : answer())));
  }
}

const isActive = ({ status }: StoredRun): boolean =>
  !['Succeeded', 'Failed', 'Timeout', 'Cancelled'].includes(String(status?.phase)) &&
  status?.assignedPod !== undefined;

const patched = (run: StoredRun, patch: Patch): E.Either<EffectError, StoredRun> => {
  if (patch.type !== 'json') return E.left({ kind: 'Invalid', message: 'only JSON patches' });
  try {
    const body = structuredClone(patch.body) as unknown as jsonPatch.Operation[];
    return E.right(jsonPatch.applyPatch(structuredClone(run), body).newDocument);
  } catch (cause) {
    return E.left({ kind: 'Conflict', message: String(cause) });
  }
};

/** The Run decoded, as runtimed sees it. */
export const decoded = (run: StoredRun): Run => {
  const result = Run.decode(run);
  if (E.isLeft(result)) throw new Error(`${run.metadata.name} does not decode`);
  return result.right;
};
