/**
 * Named pipes for children's output. Node's own pipes are socket pairs, on which `echo > /dev/stderr` fails.
 *
 * Node can not make a FIFO, mkfifo(1) can, and many at once at the price of one. So a stock of them is kept. Each is
 * used for one pipe: opened at both ends and unlinked at once, so that no later pipe can be mixed up with it.
 */
import { execFile, execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';

/** File descriptors of the two ends. The read end does not block unless asked to; the write end does. */
export type Pipe = Readonly<{ readFd: number; writeFd: number }>;

/** How many FIFOs one mkfifo makes: three per process, a batch lasts for 170. */
const batchSize = 512;
const low = 48;

export class FifoStock {
  readonly #folder: string;
  #made: string[] = [];
  #next = 0;
  #refilling = false;

  /** @param folder exists, belongs to this stock alone and is 0700. */
  constructor(folder: string) {
    this.#folder = folder;
    this.#made = this.#names();
    execFileSync('mkfifo', this.#arguments(this.#made));
  }

  #names(): string[] {
    const first = this.#next;
    this.#next += batchSize;
    return Array.from({ length: batchSize }, (_, at) => join(this.#folder, String(first + at)));
  }

  #arguments(names: readonly string[]): string[] {
    return ['-m', '600', ...names];
  }

  #take(): string {
    const name = this.#made.pop();
    if (this.#made.length < low) this.#refill();
    if (name !== undefined) return name;
    const [first = '', ...rest] = this.#names();
    execFileSync('mkfifo', this.#arguments([first, ...rest]));
    this.#made = rest;
    return first;
  }

  #refill(): void {
    if (this.#refilling) return;
    this.#refilling = true;
    const names = this.#names();
    execFile('mkfifo', this.#arguments(names), (error) => {
      this.#refilling = false;
      // On failure the next take makes them itself and throws.
      if (error === null) this.#made.push(...names);
    });
  }

  /**
   * A new pipe. Both ends are close-on-exec; hand them to a child through `stdio`.
   *
   * @throws Error when the folder is gone or file descriptors have run out; nothing stays open then.
   */
  open({ readBlocks = false }: Readonly<{ readBlocks?: boolean }> = {}): Pipe {
    const name = this.#take();
    const opened: number[] = [];
    const end = (flags: number): number => {
      const fd = openSync(name, flags);
      opened.push(fd);
      return fd;
    };
    try {
      // So opened it waits for no writer, and with it open none of the others waits.
      const first = end(constants.O_NONBLOCK | (readBlocks ? constants.O_RDWR : constants.O_RDONLY));
      const readFd = readBlocks ? end(constants.O_RDONLY) : first;
      const pipe = { readFd, writeFd: end(constants.O_WRONLY) };
      if (readBlocks) closeSync(first);
      return pipe;
    } catch (error) {
      for (const fd of opened) closeSync(fd);
      throw error;
    } finally {
      unlinkSync(name);
    }
  }
}
