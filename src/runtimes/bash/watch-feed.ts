/**
 * One watcher: what has it seen of each execution, and what does it get next?
 *
 * Nothing is queued for a watcher but the few messages gRPC holds. It has a position in every execution; when it can
 * take more, the next piece is read from what is kept. So a slow watcher costs nothing, and one that is too slow
 * finds a gap. Executions with news take turns, one piece each.
 */
import { nowMicros } from '../../io/wall-clock.js';
import { type Output, OutputStream, type WatchEvent } from '../../proto/gen/executor.js';
import type { Execution } from './execution.js';
import type { Executions } from './executions.js';
import type { Cursors } from './request.js';

/** Largest piece of output in one event, bytes. */
const largestPiece = 65_536;

type Position = { started: boolean; stdout: number; stderr: number; exited: boolean };

/** How far a watcher must have come in an execution to have seen all that there was at its call. */
type Backlog = Readonly<Position>;

/** The part of a gRPC call that is used: a writable stream of objects. */
export type WatchCall = Readonly<{
  write: (event: WatchEvent) => boolean;
  onDrain: (listener: () => void) => void;
  end: () => void;
}>;

export class WatchFeed {
  readonly #call: WatchCall;
  readonly #positions = new Map<Execution, Position>();
  readonly #cursors: ReadonlyMap<string, Readonly<{ stdoutOffset: number; stderrOffset: number }>>;
  readonly #news = new Set<Execution>();
  readonly #backlog = new Map<Execution, Backlog>();
  readonly #unlisten: () => void;
  #isSynced = false;
  #isFull = false;
  #isEnding = false;
  #isClosed = false;

  constructor(call: WatchCall, executions: Executions, cursors: Cursors) {
    this.#call = call;
    this.#cursors = new Map(cursors.map((cursor) => [cursor.id, cursor]));
    for (const execution of executions.all()) {
      this.#news.add(execution);
      this.#backlog.set(execution, {
        started: execution.started !== undefined,
        stdout: execution.stdout.total,
        stderr: execution.stderr.total,
        exited: execution.exited !== undefined,
      });
    }
    call.onDrain(() => {
      this.#isFull = false;
      this.#pump();
    });
    this.#unlisten = executions.listen({
      changed: (execution) => {
        this.#news.add(execution);
        this.#pump();
      },
      forgotten: (execution) => {
        this.#news.delete(execution);
        this.#positions.delete(execution);
        this.#backlog.delete(execution);
        this.#pump();
      },
    });
    this.#pump();
  }

  /** Ends the call as soon as it has been given everything. */
  finish(): void {
    this.#isEnding = true;
    this.#pump();
  }

  /** The watcher has gone. */
  close(): void {
    this.#isClosed = true;
    this.#unlisten();
    this.#news.clear();
    this.#positions.clear();
    this.#backlog.clear();
  }

  #pump(): void {
    while (!this.#isFull && !this.#isClosed) {
      this.#sync();
      if (this.#isFull) return;
      const [execution] = this.#news;
      if (execution === undefined) {
        if (this.#isEnding) {
          this.close();
          this.#call.end();
        }
        return;
      }
      this.#news.delete(execution);
      const event = this.#next(execution);
      if (event === undefined) continue;
      this.#send(event);
      this.#news.add(execution);
    }
  }

  #send(event: WatchEvent): void {
    this.#isFull = !this.#call.write(event);
  }

  #sync(): void {
    if (this.#isSynced) return;
    for (const [execution, backlog] of this.#backlog) {
      const seen = this.#position(execution);
      const isSeen =
        seen.started >= backlog.started &&
        seen.stdout >= backlog.stdout &&
        seen.stderr >= backlog.stderr &&
        seen.exited >= backlog.exited;
      if (!isSeen) return;
      this.#backlog.delete(execution);
    }
    this.#isSynced = true;
    this.#send({ id: '', timeMicros: nowMicros(), event: { $case: 'synced', value: {} } });
  }

  #position(execution: Execution): Position {
    const known = this.#positions.get(execution);
    if (known !== undefined) return known;
    const cursor = this.#cursors.get(execution.id);
    const position = {
      started: false,
      stdout: cursor?.stdoutOffset ?? 0,
      stderr: cursor?.stderrOffset ?? 0,
      exited: false,
    };
    this.#positions.set(execution, position);
    return position;
  }

  #next(execution: Execution): WatchEvent | undefined {
    const { id, started, exited } = execution;
    const position = this.#position(execution);
    if (started !== undefined && !position.started) {
      position.started = true;
      return { id, timeMicros: started.timeMicros, event: { $case: 'started', value: started.value } };
    }
    const piece = this.#piece(execution, position);
    if (piece !== undefined) return { id, timeMicros: nowMicros(), event: { $case: 'output', value: piece } };
    if (exited !== undefined && !position.exited) {
      position.exited = true;
      return { id, timeMicros: exited.timeMicros, event: { $case: 'exited', value: exited.value } };
    }
    return undefined;
  }

  #piece(execution: Execution, position: Position): Output | undefined {
    const out = execution.stdout.read(position.stdout, largestPiece);
    if (out !== undefined) {
      position.stdout = out.offset + out.data.length;
      return { stream: OutputStream.OUTPUT_STREAM_STDOUT, ...out };
    }
    const err = execution.stderr.read(position.stderr, largestPiece);
    if (err === undefined) return undefined;
    position.stderr = err.offset + err.data.length;
    return { stream: OutputStream.OUTPUT_STREAM_STDERR, ...err };
  }
}
