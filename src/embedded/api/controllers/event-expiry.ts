/** Events are kept for an hour. */
import type { KubeObject } from '../object.js';
import type { Store } from '../store/store.js';

/** How long an event is kept after its last change, milliseconds. */
const keptMs = 60 * 60_000;
/** Time between two looks; one look removes all that are due. */
const lookMs = 60_000;

const lastSeenMs = (event: KubeObject): number => {
  const times = [event.lastTimestamp, event.eventTime, event.firstTimestamp, event.metadata.creationTimestamp]
    .map((time) => (typeof time === 'string' ? Date.parse(time) : Number.NaN))
    .filter((ms) => !Number.isNaN(ms));
  return Math.max(0, ...times);
};

/** Removes old events until stopped. */
export const expireEvents = (store: Store, nowMs: () => number): (() => void) => {
  const look = (): void => {
    for (const { object } of [...store.list('events')]) {
      const { namespace, name } = object.metadata;
      if (
        lastSeenMs(object) + keptMs <= nowMs() &&
        store.head('events', namespace, name ?? '')?.object === object
      )
        store.remove('events', object);
    }
  };
  look();
  const timer = setInterval(look, lookMs);
  timer.unref();
  return () => clearInterval(timer);
};
