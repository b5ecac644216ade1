/**
 * Instants and durations.
 *
 * Instants are RFC 3339 with microseconds on the wire (a whole second hides every latency we care about) and integer
 * microseconds since the epoch inside; durations are Go's notation on the wire and milliseconds inside.
 */
import * as E from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';

interface MicrosBrand {
  readonly Micros: unique symbol;
}

/** Microseconds since the epoch, a whole number: 2^53 of them reach beyond the year 2200. */
export type Micros = t.Branded<number, MicrosBrand>;

/** Rounds to whole microseconds. */
export const micros = (value: number): Micros => Math.round(value) as Micros;

/** Whole milliseconds (rounded up, so that "not before" stays true) of an instant. */
export const toMillis = (instant: Micros): number => Math.ceil(instant / 1000);

/** The instant `ms` later (or earlier, if negative). */
export const plusMillis = (instant: Micros, ms: number): Micros => micros(instant + ms * 1000);

/** `2026-11-23T22:12:00.123456Z`. */
export const formatMicros = (instant: Micros): string => {
  const seconds = Math.floor(instant / 1_000_000);
  const fraction = String(instant - seconds * 1_000_000).padStart(6, '0');
  return `${new Date(seconds * 1000).toISOString().slice(0, 19)}.${fraction}Z`;
};

/** The same to the second, as metav1.Time is written: what conditions and Events carry. */
export const formatSeconds = (instant: Micros): string => `${formatMicros(instant).slice(0, 19)}Z`;

const RFC3339 = /^(\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?([Zz]|[+-]\d{2}:\d{2})$/;

/** Parses RFC 3339 with up to nine decimals; digits after the microseconds are cut. */
export const parseInstant = (text: string): Micros | undefined => {
  const match = RFC3339.exec(text);
  if (!match) return undefined;
  const [, moment = '', fraction = '', zone = ''] = match;
  const seconds = Date.parse(`${moment.toUpperCase()}${zone.toUpperCase()}`);
  return Number.isNaN(seconds)
    ? undefined
    : micros(seconds * 1000 + Number(fraction.slice(0, 6).padEnd(6, '0')));
};

/** RFC 3339 text ↔ Micros. */
export const Instant = new t.Type<Micros, string, unknown>(
  'Instant',
  (u): u is Micros => typeof u === 'number' && Number.isSafeInteger(u),
  (u, context) => {
    const instant = typeof u === 'string' ? parseInstant(u) : undefined;
    return instant === undefined ? t.failure(u, context, 'is not an RFC 3339 time') : t.success(instant);
  },
  formatMicros,
);

const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  // The micro sign and the Greek letter, escaped: with one of them in it, node holds a program's text at two bytes each.
  '\u00b5s': 1e-3,
  '\u03bcs': 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};
const DURATION = /^(?:\d+(?:\.\d+)?(?:ns|us|[\u00b5\u03bc]s|ms|s|m|h))+$/;
/** Go's: 2^63 nanoseconds. */
const LONGEST_MS = 9_223_372_036_854;
const PART = /(\d+(?:\.\d+)?)(ns|us|[\u00b5\u03bc]s|ms|s|m|h)/g;

/** `1m30s` → 90000; Go's time.ParseDuration without sign. The error says what a good one looks like. */
export const parseDuration = (text: string): E.Either<string, number> => {
  if (!DURATION.test(text))
    return E.left(`${JSON.stringify(text)} is not a duration: write it as 30s, 1m30s, 500ms or 2h`);
  let ms = 0;
  for (const [, amount, unit] of text.matchAll(PART)) ms += Number(amount) * (UNIT_MS[unit ?? ''] ?? 0);
  return ms > LONGEST_MS
    ? E.left(`${JSON.stringify(text.slice(0, 40))} is longer than a duration can be, 292 years`)
    : E.right(ms);
};

/** Milliseconds as people write them: 500ms, 1.5s, 1m30s, 2h. */
export const formatDuration = (ms: number): string => {
  if (ms < 1000) return `${Math.round(ms)}ms`;
  if (ms < 60_000) return `${Number((ms / 1000).toFixed(2))}s`;
  const seconds = Math.round(ms / 1000);
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60), seconds % 60];
  return `${h > 0 ? `${h}h` : ''}${m > 0 ? `${m}m` : ''}${s > 0 ? `${s}s` : ''}`;
};

/** Duration text ↔ milliseconds. */
export const Duration = new t.Type<number, string, unknown>(
  'Duration',
  (u): u is number => typeof u === 'number',
  (u, context) => {
    const parsed = typeof u === 'string' ? parseDuration(u) : E.left('is not a duration string');
    return E.isLeft(parsed) ? t.failure(u, context, parsed.left) : t.success(parsed.right);
  },
  formatDuration,
);
