/** What happens at the Runtime Server, as the rest of runtimed sees it. */
import type { Micros } from '../../model/time.js';
import type { Exit } from './attempt.js';

export type StreamName = 'stdout' | 'stderr';

/** One thing that happened, output left out. */
export type ServerNews =
  | Readonly<{ kind: 'Health'; healthy: boolean; message: string }>
  /** The connection is there. What the server knows is reported next, then Synced. */
  | Readonly<{ kind: 'Opened' }>
  | Readonly<{ kind: 'Synced' }>
  | Readonly<{ kind: 'Down'; message: string }>
  /** After Down, or before the first Opened: no process listens where it is to be. Not so while one is there and silent. */
  | Readonly<{ kind: 'Gone' }>
  | Readonly<{ kind: 'Started'; id: string; at: Micros }>
  | Readonly<{ kind: 'Exited'; id: string; exit: Exit }>;

/** A piece of output. `offset` counts bytes of the whole stream; a jump means that the server dropped what is between. */
export type OutputChunk = Readonly<{
  kind: 'Output';
  id: string;
  stream: StreamName;
  offset: number;
  data: Buffer;
  at: Micros;
}>;

/** As it comes from the server: `lastStderr` is not known there. */
export type ServerEvent =
  | Exclude<ServerNews, { kind: 'Exited' }>
  | OutputChunk
  | Readonly<{ kind: 'Exited'; id: string; exit: Omit<Exit, 'lastStderr'> }>;
