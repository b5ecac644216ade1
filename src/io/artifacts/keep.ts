/**
 * Stores what an attempt left in its $KRUNTIME_ARTIFACTS_DIR: all of it or nothing.
 *
 * The store is given time: what may pass (it is away, it is full) is tried again with a backoff until `limitMs` are
 * over. Uploads of all attempts of the pod share `slots`, so memory is bounded whatever the number of Runs; no slot
 * is held while nothing is sent.
 */
import { setTimeout as pause } from 'node:timers/promises';

import { type ArtifactOwner, artifactKey, attemptPrefix } from '../../decide/artifacts/keys.js';
import { type ArtifactLimits, contentTypeOf, shownName } from '../../decide/artifacts/rules.js';
import { type Backoff, backoffMs } from '../../decide/backoff.js';
import type { ArtifactRef } from '../../model/run.js';
import { isPodTrouble, throughTrouble } from '../pod-trouble.js';
import { ArtifactProblem, bytesOf, entriesOf, type OpenFolder, openEntry, openFolder } from './open-below.js';
import { packed } from './pack.js';
import type { Slots } from './slots.js';
import { type ArtifactStore, isWorthRetrying, putArtifact, StoreError } from './store.js';
import { type Surveyed, survey } from './survey.js';

/** How long an upload is tried: a store that was down for a minute has kept nothing from being stored. */
export const UPLOAD_LIMIT_MS = 150_000;
const BACKOFF: Backoff = { firstMs: 200, longestMs: 10_000 };

export type KeepOptions = Readonly<{
  store: ArtifactStore;
  limits: ArtifactLimits;
  slots: Slots;
  /** RFC 3339. */
  now: () => string;
  /** An upload failed and is tried again. */
  onRetry: (name: string, error: StoreError, inMs: number) => void;
  limitMs?: number;
  /**
   * Marks the Run as one that has something stored, before anything is: what a crash leaves half-stored is then removed
   * with the Run. Answers why it cannot, in which case nothing is stored. Not asked where there is nothing to store.
   */
  mark: () => Promise<string | undefined>;
}>;

/** What became of them. `Failed`: the store did not take them; what it did take may still be there. */
export type Kept =
  | Readonly<{ kind: 'None' }>
  | Readonly<{ kind: 'Stored'; refs: ReadonlyArray<ArtifactRef> }>
  | Readonly<{ kind: 'Invalid'; message: string; isTouched: boolean }>
  | Readonly<{ kind: 'Failed'; message: string; isTouched: boolean }>;

const codeOf = (cause: unknown): string =>
  cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : String(cause);

/** An attempt's $KRUNTIME_ARTIFACTS_DIR: steps, each of which a Run may have replaced, from a path that no Run can change. */
export type LeftFolder = Readonly<{ path: string; steps: ReadonlyArray<string> }>;

/** The folder, undefined where there is none, or what is wrong with it. */
const openRoot = async ({ path, steps }: LeftFolder): Promise<OpenFolder | undefined> => {
  try {
    return await throughTrouble(() => openFolder(path, steps));
  } catch (cause) {
    const code = codeOf(cause);
    if (code === 'ENOENT') return undefined;
    throw new ArtifactProblem(
      code === 'ELOOP' || code === 'ENOTDIR'
        ? '$KRUNTIME_ARTIFACTS_DIR is no directory any more'
        : `$KRUNTIME_ARTIFACTS_DIR cannot be read: ${code}`,
    );
  }
};

/** Calls until it works, is refused, or the time is over. */
const withPatience = async <A>(
  call: () => Promise<A>,
  untilMs: number,
  signal: AbortSignal,
  onRetry: (error: StoreError, inMs: number) => void,
): Promise<A> => {
  for (let tries = 0; ; tries += 1) {
    try {
      return await call();
    } catch (cause) {
      const ms = backoffMs(tries, Math.random(), BACKOFF);
      if (
        !(isWorthRetrying(cause) || isPodTrouble(cause)) ||
        signal.aborted ||
        performance.now() + ms > untilMs
      )
        throw cause;
      if (cause instanceof StoreError) onRetry(cause, ms);
      await pause(ms, undefined, { signal });
    }
  }
};

/** The bytes of one artifact, as they are to be stored. */
const bytesOfArtifact = async function* (
  root: OpenFolder,
  { name, type, facts }: Surveyed,
): AsyncGenerator<Buffer> {
  if (type === 'directory') yield* packed(root, name, facts);
  else {
    const entry = await openEntry(root, name, shownName(name), facts);
    try {
      yield* bytesOf(entry.handle, shownName(name), facts.size);
    } finally {
      await entry.handle.close();
    }
  }
};

/** Stores all; rejects with the first failure, after the others have ended. */
const storeAll = async (
  root: OpenFolder,
  surveyed: ReadonlyArray<Surveyed>,
  owner: ArtifactOwner,
  { store, slots, now, onRetry, limitMs = UPLOAD_LIMIT_MS }: KeepOptions,
): Promise<ReadonlyArray<ArtifactRef>> => {
  const untilMs = performance.now() + limitMs;
  const givenUp = new AbortController();
  const failures: unknown[] = [];
  const storeOne = async (artifact: Surveyed): Promise<ArtifactRef> => {
    const { name, type } = artifact;
    const contentType = contentTypeOf(name, type);
    const put = () =>
      slots.with(() => {
        givenUp.signal.throwIfAborted();
        const bytes = bytesOfArtifact(root, artifact);
        return putArtifact(store, artifactKey(owner, name), bytes, { contentType, signal: givenUp.signal });
      });
    const stored = await withPatience(put, untilMs, givenUp.signal, (error, ms) => onRetry(name, error, ms));
    return { name, type, driver: store.driver, contentType, createdAt: now(), ...stored };
  };
  const refs = await Promise.all(
    surveyed.map((artifact) =>
      storeOne(artifact).catch((cause: unknown) => {
        failures.push(cause);
        givenUp.abort();
        return undefined;
      }),
    ),
  );
  if (failures.length > 0) throw failures[0];
  return refs.flatMap((ref) => ref ?? []);
};

/** Never rejects. */
export const keepArtifacts = async (
  left: LeftFolder,
  owner: ArtifactOwner,
  options: KeepOptions,
): Promise<Kept> => {
  const { store, limits } = options;
  let root: OpenFolder | undefined;
  let isTouched = false;
  try {
    root = await openRoot(left);
    const opened = root;
    const surveyed = opened ? await throughTrouble(() => survey(opened, limits)) : [];
    if (!root || surveyed.length === 0) return { kind: 'None' };
    const refusal = await options.mark();
    if (refusal !== undefined)
      return { kind: 'Failed', message: `artifacts were not stored: ${refusal}`, isTouched };
    isTouched = true;
    return { kind: 'Stored', refs: await storeAll(root, surveyed, owner, options) };
  } catch (cause) {
    // Half of them is no result; if the store is away, they go with the Run.
    if (isTouched) await store.remove(attemptPrefix(owner)).catch(() => undefined);
    if (cause instanceof ArtifactProblem) return { kind: 'Invalid', message: cause.message, isTouched };
    if (cause instanceof StoreError)
      return { kind: 'Failed', message: `artifacts could not be stored: ${cause.message}`, isTouched };
    return {
      kind: 'Failed',
      message: `artifacts could not be stored in ${store.name}: ${codeOf(cause)}`,
      isTouched,
    };
  } finally {
    await root?.handle.close();
  }
};

/** Whether the attempt left any artifacts: for Runtimes that have no store. */
export const hasArtifacts = async (left: LeftFolder): Promise<boolean> => {
  let root: OpenFolder | undefined;
  try {
    root = await openRoot(left);
    return root !== undefined && (await entriesOf(root)).length > 0;
  } catch {
    return true;
  } finally {
    await root?.handle.close();
  }
};
