/**
 * One execution from its start to its end.
 *
 * The order of the end is fixed: the leader exits; every survivor of its tree is killed; what is left in the pipes is
 * read; only then it has exited. An ending that was asked for gives the whole tree, not only the leader, its grace.
 *
 * Most are over in a few milliseconds. So in its first ones nobody reads or is told anything: whatever it writes is in
 * its pipes, and one that ends is told of as a whole, at the price of one message and of no stream.
 */
import { closeSync, readSync } from 'node:fs';
import { type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net';
import { constants } from 'node:os';

import { killStorm, killTree, signalTree, type Tree, treeGone } from '../../io/processes/kill-tree.js';
import { nowMicros } from '../../io/wall-clock.js';
import { EndCause, type Exited, OutputStream } from '../../proto/gen/executor.js';
import { KeptOutput, type OutputBounds } from './kept-output.js';
import type { Launched } from './launch.js';
import type { ProcessBound } from './process-bound.js';

export type ExecutionSettings = Readonly<{
  bounds: OutputBounds;
  /** From SIGTERM to SIGKILL, milliseconds. */
  graceMs: number;
  /** Backstop, milliseconds; 0 for none. */
  timeoutMs: number;
  /** How long it is left alone at first, milliseconds: what it writes appears that much later, once. */
  restMs: number;
  /** Ends it when it has too many processes at once; nothing does without. */
  processBound?: ProcessBound | undefined;
  /**
   * How long after that it has not ended yet, milliseconds. A fork bomb takes the machine for the moment that it lives: who
   * begins one after the other leaves it to others for most of the time.
   */
  stormRestMs: number;
}>;

/** Where a thing happened in time: wall clock, microseconds since the epoch. */
export type Timed<A> = Readonly<{ timeMicros: number; value: A }>;

/** More than a pipe can hold; whoever still writes after that is out of reach and does not count. */
const drainBytes = 2_097_152;

/** Node fires a longer timer at once. */
const longestTimerMs = 2 ** 31 - 1;

/** All pipes are read into this; `append` copies before the next read. */
const readBuffer = Buffer.allocUnsafeSlow(65_536);

/**
 * What one stream may write at full speed, bytes; after that it is read so much, and then not for so long, milliseconds.
 * Together 40 MiB/s: below what a pipe carries by a factor of fifty, and above what anybody reads as a log. Without it one
 * script that writes without end takes all the time of the server, of runtimed, and of the machine.
 */
const FREE_BYTES = 64 * 1024 * 1024;
const SPELL_BYTES = 1024 * 1024;
const REST_MS = 25;

const readInto = (fd: number, kept: KeptOutput, onBytes: () => void): Socket => {
  let spell = -FREE_BYTES;
  const options: SocketConstructorOpts & Readonly<{ onread: OnReadOpts }> = {
    fd,
    readable: true,
    writable: false,
    onread: {
      buffer: readBuffer,
      callback: (count) => {
        kept.append(readBuffer.subarray(0, count));
        onBytes();
        spell += count;
        if (spell < SPELL_BYTES) return true;
        spell = 0;
        setTimeout(() => socket.resume(), REST_MS).unref();
        return false;
      },
    },
  };
  const socket = new Socket(options);
  // A broken pipe ends like any other.
  socket.on('error', () => undefined).resume();
  return socket;
};

/**
 * Reads what is in the pipe at this moment and closes it. Not left to the event loop: the end must not wait for its turn.
 *
 * @param socket what has read it so far, if anything
 */
const drain = (socket: Socket | undefined, fd: number, kept: KeptOutput): void => {
  try {
    // A socket that has not been destroyed has not closed its descriptor.
    for (let left = drainBytes; left > 0 && socket?.destroyed !== true; ) {
      const count = readSync(fd, readBuffer);
      if (count === 0) break;
      kept.append(readBuffer.subarray(0, count));
      left -= count;
    }
  } catch {
    // EAGAIN: empty, and held open by something out of reach.
  }
  if (socket === undefined) closeSync(fd);
  else socket.destroy();
};

export class Execution {
  readonly id: string;
  readonly stdout: KeptOutput;
  readonly stderr: KeptOutput;
  readonly started: Timed<{ pid: number }> | undefined;
  /** Resolves when it has exited. */
  readonly ended: Promise<void>;
  #exited: Timed<Exited> | undefined;
  readonly #launched: Launched | undefined;
  readonly #settings: ExecutionSettings;
  readonly #onNews: (execution: Execution) => void;
  #leaderIsGone = false;
  #cause: EndCause | undefined;
  /** Why it was killed though nobody asked for it; '' when it was not. */
  #fault = '';
  /** Resolves when it was killed for that. */
  #killed: Promise<unknown> | undefined;
  /** Somebody waits for the end: no rest. */
  #isWanted = false;
  #endRest: (() => void) | undefined;
  #graceEndsAt = 0;
  #timer: NodeJS.Timeout | undefined;

  private constructor(
    id: string,
    launched: Launched | undefined,
    settings: ExecutionSettings,
    onNews: (execution: Execution) => void,
  ) {
    this.id = id;
    this.#launched = launched;
    this.#settings = settings;
    this.#onNews = onNews;
    this.stdout = new KeptOutput(settings.bounds);
    this.stderr = new KeptOutput(settings.bounds);
    this.started = launched && { timeMicros: nowMicros(), value: { pid: launched.tree.signs.leader } };
    this.ended = launched === undefined ? Promise.resolve() : this.#follow(launched);
  }

  /** Follows a process that has just been started. `onNews` is called after every change, some milliseconds from now on. */
  static of(
    id: string,
    launched: Launched,
    settings: ExecutionSettings,
    onNews: (execution: Execution) => void,
  ): Execution {
    return new Execution(id, launched, settings, onNews);
  }

  /** An execution whose process could not be started: over from the beginning, with a code as a shell would give. */
  static notStarted(id: string, code: number, errorMessage: string, settings: ExecutionSettings): Execution {
    const execution = new Execution(id, undefined, settings, () => undefined);
    execution.#exit(code, 0, EndCause.END_CAUSE_NOT_STARTED, errorMessage);
    return execution;
  }

  /** The end, once there is one. */
  get exited(): Timed<Exited> | undefined {
    return this.#exited;
  }

  output(stream: OutputStream.OUTPUT_STREAM_STDOUT | OutputStream.OUTPUT_STREAM_STDERR): KeptOutput {
    return stream === OutputStream.OUTPUT_STREAM_STDOUT ? this.stdout : this.stderr;
  }

  /** Asks the whole tree to end, and makes it so after the grace. Does nothing when it is ending already. */
  end(cause: EndCause.END_CAUSE_CANCELLED | EndCause.END_CAUSE_TIMEOUT): void {
    this.#wantEnd();
    if (this.#launched === undefined || this.#leaderIsGone || this.#cause !== undefined) return;
    const { tree } = this.#launched;
    const { graceMs } = this.#settings;
    this.#cause = cause;
    this.#graceEndsAt = performance.now() + graceMs;
    clearTimeout(this.#timer);
    void signalTree(tree, 'SIGTERM');
    this.#timer = setTimeout(() => void killTree(tree), graceMs);
  }

  /** Kills the whole tree now. */
  async kill(): Promise<void> {
    if (this.#launched === undefined || this.#exited !== undefined) return;
    this.#wantEnd();
    this.#cause ??= EndCause.END_CAUSE_CANCELLED;
    this.#graceEndsAt = 0;
    await killTree(this.#launched.tree);
  }

  /** Kills the whole tree for what it does; those that were found to carry its limit first. */
  #killFor(fault: string, tree: Tree, found: readonly number[]): void {
    if (this.#leaderIsGone) return;
    this.#fault = fault;
    this.#graceEndsAt = 0;
    this.#killed = killStorm(tree, found);
  }

  #wantEnd(): void {
    this.#isWanted = true;
    this.#endRest?.();
  }

  /** Until its time is over, or somebody wants it to end. */
  #rest(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, this.#settings.stormRestMs).unref();
      this.#endRest = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async #follow({ child, tree, stdoutFd, stderrFd }: Launched): Promise<void> {
    const { processBound, restMs, timeoutMs } = this.#settings;
    const news = (): void => this.#onNews(this);
    let out: Socket | undefined;
    let err: Socket | undefined;
    let unbind: (() => void) | undefined;
    const rest = setTimeout(() => {
      out = readInto(stdoutFd, this.stdout, news);
      err = readInto(stderrFd, this.stderr, news);
      unbind = processBound?.watch(tree, (fault, found) => this.#killFor(fault, tree, found));
      news();
    }, restMs);
    if (timeoutMs > 0)
      this.#timer = setTimeout(
        () => this.end(EndCause.END_CAUSE_TIMEOUT),
        Math.min(timeoutMs, longestTimerMs),
      );

    const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve) => {
      child.once('exit', (...how) => resolve(how));
    });
    this.#leaderIsGone = true;
    await this.#killed;
    const graceMs = this.#cause === undefined ? 0 : this.#graceEndsAt - performance.now();
    const isGone = await treeGone(tree, graceMs);
    clearTimeout(this.#timer);
    if (!isGone) await killTree(tree);
    if (this.#killed !== undefined && !this.#isWanted) await this.#rest();

    clearTimeout(rest);
    unbind?.();
    drain(out, stdoutFd, this.stdout);
    drain(err, stderrFd, this.stderr);
    this.stdout.trim();
    this.stderr.trim();
    const number = signal === null ? 0 : constants.signals[signal];
    this.#exit(code ?? 128 + number, number, this.#cause ?? EndCause.END_CAUSE_EXITED, this.#fault);
    news();
  }

  #exit(code: number, signal: number, cause: EndCause, errorMessage: string): void {
    this.#exited = {
      timeMicros: nowMicros(),
      value: {
        code,
        signal,
        cause,
        errorMessage,
        stdoutBytes: this.stdout.total,
        stderrBytes: this.stderr.total,
        stdoutDropped: this.stdout.dropped,
        stderrDropped: this.stderr.dropped,
      },
    };
  }
}
