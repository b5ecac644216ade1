/** How much of each attempt's log is kept (spec.logs of a Runtime). */
import * as t from 'io-ts';

/** Bytes as they are stored, each record with some thirty of its own. Absent: the default. */
export const LogSettings = t.partial({ headBytes: t.number, tailBytes: t.number });
export type LogSettings = t.TypeOf<typeof LogSettings>;

export type LogBounds = Readonly<Required<LogSettings>>;

/** The contract's defaults. */
export const DEFAULT_LOG_BOUNDS: LogBounds = { headBytes: 1024 ** 2, tailBytes: 9 * 1024 ** 2 };
