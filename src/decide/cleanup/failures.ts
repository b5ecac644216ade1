/** What is a Run told whose artifacts cannot be removed yet? A condition each, an Event for the first few. */
import type { Command } from '../../model/command.js';
import { ABANDON_KEY } from '../../model/names.js';
import type { RunRecord } from '../../model/run-record.js';
import { micros } from '../../model/time.js';
import { eventOf } from '../notes.js';
import type { Place, Places } from './place.js';

/** A change of a failure's words is told no more often than this, milliseconds. */
const RETELL_MS = 60_000;
/** Events of one failure; the condition is on every Run. */
const MOST_EVENTS = 10;
/** Characters of a failure's cause that are told. */
const MOST_CAUSE = 500;

/** A cause that is not longer than what is told of one. */
export const cut = (text: string): string =>
  text.length > MOST_CAUSE ? `${text.slice(0, MOST_CAUSE)}…` : text;

/** A warning about the Run. */
export const warning = (run: RunRecord, reason: string, message: string, nowMs: number): Command =>
  eventOf(run, { type: 'Warning', reason, message }, micros(nowMs * 1000));

/** Tells a Run that waits why it does, once per failure. */
export const explain = (
  { cleanings }: Places,
  place: Place,
  run: RunRecord,
  nowMs: number,
): ReadonlyArray<Command> => {
  const { failure } = place;
  const cleaning = cleanings.get(run.key);
  if (!failure || cleaning?.uid !== run.uid || cleaning.explained === failure) return [];
  cleaning.explained = failure;
  place.told += 1;
  const { reason } = failure;
  const message = `${failure.message}; it is tried again. To delete the Run and leave its artifacts there: kubectl annotate run -n ${run.namespace} ${run.name} ${ABANDON_KEY}=true`;
  return [
    { kind: 'ExplainCleanup', run, reason, message },
    ...(place.told <= MOST_EVENTS ? [warning(run, reason, message, nowMs)] : []),
  ];
};

/** Notes why the place's Runs wait, and tells those that do, unless they know. */
export const fail = (
  places: Places,
  place: Place,
  reason: string,
  message: string,
  nowMs: number,
): ReadonlyArray<Command> => {
  const { failure } = place;
  if (failure?.reason === reason && (failure.message === message || nowMs - failure.sinceMs < RETELL_MS))
    return [];
  place.failure = { reason, message, sinceMs: nowMs };
  place.told = 0;
  return [...place.queue.values()].flatMap((run) => explain(places, place, run, nowMs));
};
