/** Events are kept for an hour. */
import { deadlines } from '../../../decide/deadlines.js';
import type { KubeObject } from '../object.js';
import type { Store } from '../store/store.js';

/** How long an event is kept after its last change, milliseconds. */
const keptMs = 60 * 60_000;
/** Time between two looks; one look removes all that are due, and costs nothing for the others. */
const lookMs = 60_000;

const lastSeenMs = (event: KubeObject): number => {
  const times = [event.lastTimestamp, event.eventTime, event.firstTimestamp, event.metadata.creationTimestamp]
    .map((time) => (typeof time === 'string' ? Date.parse(time) : Number.NaN))
    .filter((ms) => !Number.isNaN(ms));
  return Math.max(0, ...times);
};

/** Removes old events until stopped. */
export const expireEvents = (store: Store, nowMs: () => number): (() => void) => {
  const due = deadlines<string>();
  for (const { key, object } of store.list('events')) due.set(key, lastSeenMs(object) + keptMs);
  const unsubscribe = store.subscribe('events', ({ type, entry }) => {
    if (type === 'DELETED') due.remove(entry.key);
    else due.set(entry.key, lastSeenMs(entry.object) + keptMs);
  });
  const look = (): void => {
    for (const key of due.takeDue(nowMs())) {
      const [namespace, name = ''] = key.split('/');
      const head = store.head('events', namespace, name)?.object;
      // One that is just being written again will say so when it is.
      if (head !== undefined && lastSeenMs(head) + keptMs <= nowMs()) store.remove('events', head);
    }
  };
  look();
  const timer = setInterval(look, lookMs);
  timer.unref();
  return () => {
    clearInterval(timer);
    unsubscribe();
  };
};
