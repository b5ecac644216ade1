/**
 * Output goes to the logs, all other news of the Runtime Server go on; an end takes the last line of stderr along.
 *
 * A flood must not hold up its neighbours: output is worked off in slices of 8 KiB, a turn of the event loop each,
 * in a lane per execution, and only an execution's own end waits for its lane; once that has gone on for a while, three
 * quarters of the time are left to everybody else, half when only ends are waited for. What waits is bounded, per lane and in all; beyond that the oldest of the lane is
 * dropped that is no part of the log's head, so that the beginning of a flood and its end are there, and the log marks
 * the gap by the offset of the next.
 */
import { Observable } from 'rxjs';

import type { OutputChunk, ServerEvent, ServerNews } from '../../decide/sidecar/server-event.js';
import type { LogBounds } from '../../model/log-bounds.js';
import type { RunLogs } from './run-logs.js';

/** Bytes worked off in one turn: at most as many lines, about 10 ms of work. */
export const SLICE_BYTES = 8 * 1024;
/** Bytes that may wait in one lane: as much as its spool keeps. */
export const LANE_BYTES = 10 * 1024 * 1024;
/** Bytes that may wait in all lanes; beyond it only lanes with less than a small share take more. */
export const LANES_BYTES = 32 * 1024 * 1024;
const SHARE_BYTES = 256 * 1024;
/** Bytes that are worked off turn by turn before there are rests. */
const UNRESTED_BYTES = 1024 * 1024;
/** How long a rest is, in spells of work: while a script still writes, and when all that wait have ended. */
const RESTS = { writing: 3, ended: 1 } as const;
/** Shortest spell of work before a rest, milliseconds: timers know no shorter rests than one. */
const SPELL_MS = 3;

type Item = OutputChunk | Extract<ServerEvent, { kind: 'Exited' }>;
type Lane = { readonly items: Item[]; bytes: number };

const sizeOf = (item: Item): number => (item.kind === 'Output' ? item.data.length : 0);

export const teeOutput =
  (logs: Pick<RunLogs, 'output' | 'finish' | 'close'>, { headBytes }: Pick<LogBounds, 'headBytes'>) =>
  (events$: Observable<ServerEvent>): Observable<ServerNews> =>
    new Observable((news) => {
      const lanes = new Map<string, Lane>();
      let bytes = 0;
      /** Worked off since nothing waited. */
      let worked = 0;
      /** Ends the wait for the next round. */
      let cancelTurn: (() => void) | undefined;

      const exited = ({ id, exit, kind }: Extract<ServerEvent, { kind: 'Exited' }>): void => {
        const lastStderr = logs.finish(id, exit.at);
        logs.close(id);
        news.next({ kind, id, exit: { ...exit, lastStderr } });
      };
      /** Works off at most a slice; returns what is left of the item. */
      const work = (item: Item): Item | undefined => {
        if (item.kind === 'Exited') {
          exited(item);
          return undefined;
        }
        const { id, stream, offset, data, at } = item;
        logs.output(id, stream, offset, data.subarray(0, SLICE_BYTES), at);
        return data.length <= SLICE_BYTES
          ? undefined
          : { ...item, offset: offset + SLICE_BYTES, data: data.subarray(SLICE_BYTES) };
      };
      /** One slice of each lane, so that they share the time. */
      const sliceOfEach = (): void => {
        for (const [id, lane] of lanes) {
          const first = lane.items.shift();
          const rest = first && work(first);
          if (rest) lane.items.unshift(rest);
          const done = first?.kind === 'Output' ? Math.min(first.data.length, SLICE_BYTES) : 0;
          lane.bytes -= done;
          bytes -= done;
          worked += done;
          if (lane.items.length === 0) lanes.delete(id);
        }
      };
      const rests = (): number =>
        [...lanes.values()].every(({ items }) => items.at(-1)?.kind === 'Exited')
          ? RESTS.ended
          : RESTS.writing;
      const round = (): void => {
        const began = performance.now();
        do sliceOfEach();
        while (lanes.size > 0 && worked > UNRESTED_BYTES && performance.now() - began < SPELL_MS);
        if (lanes.size > 0) next(worked > UNRESTED_BYTES ? rests() * (performance.now() - began) : 0);
        else {
          worked = 0;
          cancelTurn = undefined;
        }
      };
      const next = (afterMs: number): void => {
        if (afterMs > 0) {
          const timer = setTimeout(round, afterMs);
          cancelTurn = () => clearTimeout(timer);
        } else {
          const turn = setImmediate(round);
          cancelTurn = () => clearImmediate(turn);
        }
      };
      const wait = (item: Item): void => {
        const size = sizeOf(item);
        const lane = lanes.get(item.id) ?? { items: [], bytes: 0 };
        while (lane.bytes + size > LANE_BYTES || (bytes > LANES_BYTES && lane.bytes > SHARE_BYTES)) {
          const index = lane.items.findIndex((each) => each.kind === 'Output' && each.offset >= headBytes);
          const [oldest] = lane.items.splice(Math.max(0, index), 1);
          if (!oldest) break;
          lane.bytes -= sizeOf(oldest);
          bytes -= sizeOf(oldest);
        }
        lane.items.push(item);
        lane.bytes += size;
        bytes += size;
        lanes.set(item.id, lane);
        if (cancelTurn === undefined) next(0);
      };
      const events = events$.subscribe({
        next: (event) => {
          if (event.kind !== 'Output' && event.kind !== 'Exited') news.next(event);
          else if (lanes.has(event.id)) wait(event);
          else {
            // Most output is small and finds its lane empty: it is worked off at once.
            const rest = work(event);
            if (rest) wait(rest);
          }
        },
        error: (cause: unknown) => news.error(cause),
        complete: () => news.complete(),
      });
      return () => {
        events.unsubscribe();
        cancelTurn?.();
      };
    });
