/**
 * All Pods as a stream of what to do: list, watch from there, list again when the server has forgotten where we were.
 *
 * Never ends and never errors: a failure is reported and tried again with growing pauses. A list yields every Pod and
 * then `Listed` with their uids, so that whoever listens drops the rest.
 */
import * as E from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';
import { Observable } from 'rxjs';

import type { EffectError } from '../../model/effect-error.js';
import { pods } from '../../model/resources.js';
import type { KubePort } from '../../ports.js';
import { ask } from './cluster.js';
import { Pod } from './pod.js';

export type PodEvent =
  /** `isListed`: this is how it is, also where a later version was known: the API server may have gone back (ADR 0025). */
  | Readonly<{ kind: 'Apply'; pod: Pod; isListed: boolean }>
  | Readonly<{ kind: 'Delete'; uid: string }>
  | Readonly<{ kind: 'Listed'; uids: ReadonlySet<string> }>
  | Readonly<{ kind: 'Rejected'; key: string }>
  | Readonly<{ kind: 'Trouble'; error: EffectError }>;

/** Life of one watch, seconds; the server ends it and we go on where we were. */
const WATCH_SECONDS = 300;
/** Silence after which a watch counts as dead, milliseconds; longer than the pause between bookmarks. */
const IDLE_MS = 330_000;
const LONGEST_PAUSE_MS = 2000;
const PAGE = 500;

const Identified = t.type({
  metadata: t.intersection([
    t.type({ uid: t.string, name: t.string, resourceVersion: t.string }),
    t.partial({ namespace: t.string }),
  ]),
});

export const watchPods = (kube: KubePort): Observable<PodEvent> =>
  new Observable((subscriber) => {
    let pauseMs = 0;
    let timer: NodeJS.Timeout | undefined;

    const applyOne = (object: unknown, isListed: boolean): string | undefined => {
      const identified = Identified.decode(object);
      if (E.isLeft(identified)) return undefined;
      const { uid, name, namespace } = identified.right.metadata;
      const pod = Pod.decode(object);
      subscriber.next(
        E.isRight(pod)
          ? { kind: 'Apply', pod: pod.right, isListed }
          : { kind: 'Rejected', key: `${namespace ?? ''}/${name}` },
      );
      return uid;
    };

    const later = (error: EffectError, next: () => void): void => {
      if (subscriber.closed) return;
      subscriber.next({ kind: 'Trouble', error });
      pauseMs = Math.min(Math.max(pauseMs * 2, 50), LONGEST_PAUSE_MS);
      timer = setTimeout(next, pauseMs);
    };

    const list = async (): Promise<void> => {
      const uids = new Set<string>();
      let token: string | undefined;
      for (;;) {
        const page = await ask(
          kube.list(pods, {}, { limit: PAGE, ...(token === undefined ? {} : { continue: token }) }),
        );
        if (subscriber.closed) return;
        if (E.isLeft(page)) {
          later(page.left, () => void list());
          return;
        }
        for (const item of page.right.items) {
          const uid = applyOne(item, true);
          if (uid !== undefined) uids.add(uid);
        }
        token = page.right.continue;
        if (token === undefined) {
          subscriber.next({ kind: 'Listed', uids });
          watch(page.right.resourceVersion);
          return;
        }
      }
    };

    const watch = (from: string): void => {
      if (subscriber.closed) return;
      let resourceVersion = from;
      let failure: EffectError | undefined;
      const frames = kube.watch(
        pods,
        {},
        { resourceVersion, timeoutSeconds: WATCH_SECONDS, idleMs: IDLE_MS },
      );
      const subscription = frames.subscribe({
        next: (frame) => {
          if (E.isLeft(frame)) {
            failure = frame.left;
            return;
          }
          pauseMs = 0;
          if (frame.right.type === 'BOOKMARK') {
            resourceVersion = frame.right.resourceVersion;
            return;
          }
          const identified = Identified.decode(frame.right.object);
          if (E.isRight(identified)) resourceVersion = identified.right.metadata.resourceVersion;
          if (frame.right.type !== 'DELETED') applyOne(frame.right.object, false);
          else if (E.isRight(identified))
            subscriber.next({ kind: 'Delete', uid: identified.right.metadata.uid });
        },
        complete: () => {
          if (failure === undefined) watch(resourceVersion);
          else if (failure.kind === 'Gone') void list();
          else later(failure, () => watch(resourceVersion));
        },
        error: (error: unknown) => subscriber.error(error),
      });
      subscriber.add(subscription);
    };

    void list();
    return () => clearTimeout(timer);
  });
