/**
 * Watching objects for as long as somebody waits: list, then watch, resumed where it broke off.
 *
 * A closed watch is taken up at its last resource version, a forgotten version (410) by listing again, an unreachable
 * server after a growing pause. What is missing from a later list is told as DELETED. Nothing polls.
 */
import type { EffectError } from '../../model/effect-error.js';
import type { Effect, KubePort } from '../../ports.js';
import { type Failure, failureOf } from '../failure.js';

/** What the watcher is told. Exactly one of `failed` and nothing ends it. */
export type Ears<A> = Readonly<{
  /** An object as it is now. */
  seen: (item: A) => void;
  /** It is gone; `item` is its last state. */
  deleted: (item: A) => void;
  /** A whole list was told by `seen` and `deleted`: the picture is complete. */
  listed: () => void;
  /** The server cannot be reached; it is tried again by itself. */
  lost: (error: EffectError) => void;
  failed: (failure: Failure) => void;
}>;

/** How objects are listed and watched: as objects, or as rows of a table. */
export type Source<A> = Readonly<{
  list: () => Effect<Readonly<{ items: ReadonlyArray<A>; resourceVersion: string }>>;
  watch: (resourceVersion: string) => ReturnType<KubePort['watch']>;
  /** What a watch frame's object stands for; undefined to pass it over. */
  read: (object: unknown) => A | undefined;
  /** Identity (the UID) and version of an item. */
  identify: (item: A) => Readonly<{ uid: string; resourceVersion: string }>;
}>;

/** Time of day and pauses, given so that tests need not wait. */
export type Clock = Readonly<{
  nowMs: () => number;
  after: (ms: number, then: () => void) => () => void;
  random: () => number;
}>;

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  after: (ms, then) => {
    const timer = setTimeout(then, ms);
    return () => clearTimeout(timer);
  },
  random: Math.random,
};

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 5_000;
/** A server that gives no answer for so long will not come back while anybody waits: a restart takes far less. */
const GIVE_UP_MS = 300_000;

/** Failures that no new attempt cures. */
const isFinal = ({ kind, status }: EffectError): boolean =>
  kind === 'Forbidden' ||
  kind === 'Unauthorized' ||
  kind === 'Invalid' ||
  (kind === 'NotFound' && status !== 503);

/** Watches until the function it returns is called, or `failed`. The first list must succeed. */
export const watchObjects = <A>(
  source: Source<A>,
  ears: Ears<A>,
  clock: Clock = systemClock,
): (() => void) => {
  const known = new Map<string, A>();
  let stop: () => void = () => undefined;
  let over = false;
  let everListed = false;
  let pauseMs = FIRST_PAUSE_MS;
  let lastSoundMs = clock.nowMs();

  const sound = (): void => {
    lastSoundMs = clock.nowMs();
    pauseMs = FIRST_PAUSE_MS;
  };
  const fail = (error: EffectError): void => {
    over = true;
    ears.failed(failureOf(error));
  };
  const trouble = (error: EffectError, again: () => void): void => {
    if (over) return;
    if (!everListed || isFinal(error) || clock.nowMs() - lastSoundMs > GIVE_UP_MS) {
      fail(error);
      return;
    }
    ears.lost(error);
    stop = clock.after(pauseMs * (0.5 + clock.random() / 2), again);
    pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
  };
  const note = (item: A): void => {
    const { uid, resourceVersion } = source.identify(item);
    const before = known.get(uid);
    known.set(uid, item);
    if (before === undefined || source.identify(before).resourceVersion !== resourceVersion) ears.seen(item);
  };

  const list = (): void => {
    if (over) return;
    let answered = false;
    const subscription = source.list().subscribe((answer) => {
      if (over) return;
      answered = true;
      if (answer._tag === 'Left') return trouble(answer.left, list);
      sound();
      everListed = true;
      const present = new Set(answer.right.items.map((item) => source.identify(item).uid));
      for (const [uid, item] of known)
        if (!present.has(uid)) {
          known.delete(uid);
          ears.deleted(item);
        }
      for (const item of answer.right.items) {
        if (over) return;
        note(item);
      }
      if (over) return;
      ears.listed();
      if (!over) watch(answer.right.resourceVersion);
    });
    if (!answered) stop = () => subscription.unsubscribe();
  };

  const watch = (from: string): void => {
    let version = from;
    let ended = false;
    const startedMs = clock.nowMs();
    const subscription = source.watch(version).subscribe({
      next: (answer) => {
        if (over || ended) return;
        if (answer._tag === 'Left') {
          ended = true;
          if (answer.left.kind === 'Gone') stop = clock.after(0, list);
          else trouble(answer.left, () => watch(version));
          return;
        }
        sound();
        const frame = answer.right;
        if (frame.type === 'BOOKMARK') {
          version = frame.resourceVersion;
          return;
        }
        const item = source.read(frame.object);
        if (item === undefined) return;
        version = source.identify(item).resourceVersion;
        if (frame.type === 'DELETED') {
          known.delete(source.identify(item).uid);
          ears.deleted(item);
        } else note(item);
      },
      complete: () => {
        if (over || ended) return;
        ended = true;
        // A server that closes every watch at once must not be asked in a tight loop.
        stop = clock.after(clock.nowMs() - startedMs < 1000 ? FIRST_PAUSE_MS : 0, () => watch(version));
      },
    });
    if (!over && !ended) stop = () => subscription.unsubscribe();
  };

  list();
  return () => {
    over = true;
    stop();
  };
};

/** How long the server may keep one watch open, seconds. */
export const WATCH_SECONDS = 300;
/** Bookmarks come about once a minute, so that this silence means a dead connection. */
export const IDLE_MS = 150_000;
