/**
 * One container life's log on disk: appended as output arrives, bounded by one rotation (`n.log` and `n.log.1`), and
 * announcing each growth so that followers need not look.
 *
 * What the disk does not take is missing from the log: whole entries, and nothing else comes of it.
 */
import { closeSync, ftruncateSync, mkdirSync, openSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

import { LineCutter, type LogStream } from './log-lines.js';

/** Size at which a log is rotated, bytes; a container keeps at most twice this per life. */
const ROTATE_AT_BYTES = 10 * 1024 * 1024;

export class LogFile {
  readonly path: string;
  readonly #rotateAt: number;
  readonly #cutters: Readonly<Record<LogStream, LineCutter>> = {
    stdout: new LineCutter('stdout'),
    stderr: new LineCutter('stderr'),
  };
  readonly #listeners = new Set<() => void>();
  #fd: number;
  #size = 0;
  #ended = false;
  #rotations = 0;

  constructor(path: string, rotateAt: number = ROTATE_AT_BYTES) {
    this.path = path;
    this.#rotateAt = rotateAt;
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    this.#fd = openSync(path, 'w', 0o600);
  }

  /** How often it was rotated; a follower that reads an older file then goes on in the new one. */
  get rotations(): number {
    return this.#rotations;
  }

  get hasEnded(): boolean {
    return this.#ended;
  }

  /** Output as it came; lines are completed across calls. Synchronous: the page cache takes microseconds. */
  append(stream: LogStream, chunk: Buffer, epochMs: number): void {
    if (!this.#ended) this.#write(this.#cutters[stream].push(chunk, epochMs));
  }

  /** No more output of this life. */
  end(epochMs: number): void {
    if (this.#ended) return;
    this.#write(this.#cutters.stdout.end(epochMs));
    this.#write(this.#cutters.stderr.end(epochMs));
    this.#ended = true;
    closeSync(this.#fd);
    this.#announce();
  }

  /** Calls back after each growth, rotation and at the end; returns how to stop that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #write(bytes: Buffer): void {
    if (bytes.length === 0) return;
    if (this.#size > 0 && this.#size + bytes.length > this.#rotateAt) this.#rotate();
    try {
      for (let from = 0; from < bytes.length; )
        from += writeSync(this.#fd, bytes, from, bytes.length - from, this.#size + from);
    } catch {
      this.#cutBack();
      return;
    }
    this.#size += bytes.length;
    this.#announce();
  }

  /** Where there is no room for a new file it goes on in the old one. */
  #rotate(): void {
    const aside = `${this.path}.1`;
    let next: number;
    try {
      renameSync(this.path, aside);
    } catch {
      return;
    }
    try {
      next = openSync(this.path, 'w', 0o600);
    } catch {
      renameSync(aside, this.path);
      return;
    }
    closeSync(this.#fd);
    this.#fd = next;
    this.#size = 0;
    this.#rotations += 1;
  }

  /** Takes away the part of an entry that was written. */
  #cutBack(): void {
    try {
      ftruncateSync(this.#fd, this.#size);
    } catch {
      // The next entry is written over it.
    }
  }

  #announce(): void {
    for (const listener of this.#listeners) listener();
  }
}
