/**
 * The format of container logs, that of the Container Runtime Interface: `<time> <stream> <F|P> <text>`, where P is
 * a piece of a line that goes on in the next entry. Pure.
 */

export type LogStream = 'stdout' | 'stderr';

/** Longest piece of a line in one entry, bytes. */
export const LONGEST_PIECE = 16 * 1024;

/** RFC 3339 with nine decimals, of which a clock of milliseconds fills three. */
const logTime = (epochMs: number): string => new Date(epochMs).toISOString().replace('Z', '000000Z');

const NEWLINE = 0x0a;

/** Cuts a stream of bytes into entries; keeps the unfinished end of it. */
export class LineCutter {
  #rest: Buffer = Buffer.alloc(0);
  readonly #stream: LogStream;

  constructor(stream: LogStream) {
    this.#stream = stream;
  }

  /** The entries that `chunk` completes, as one block of bytes. */
  push(chunk: Buffer, epochMs: number): Buffer {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const parts: Buffer[] = [];
    let from = 0;
    for (;;) {
      const newline = bytes.indexOf(NEWLINE, from);
      const end = newline === -1 ? bytes.length : newline;
      while (end - from > LONGEST_PIECE) {
        this.#entry(parts, 'P', bytes.subarray(from, from + LONGEST_PIECE), epochMs);
        from += LONGEST_PIECE;
      }
      if (newline === -1) break;
      this.#entry(parts, 'F', bytes.subarray(from, newline), epochMs);
      from = newline + 1;
    }
    this.#rest = Buffer.from(bytes.subarray(from));
    return Buffer.concat(parts);
  }

  /** What was left without a newline. */
  end(epochMs: number): Buffer {
    const parts: Buffer[] = [];
    if (this.#rest.length > 0) this.#entry(parts, 'F', this.#rest, epochMs);
    this.#rest = Buffer.alloc(0);
    return Buffer.concat(parts);
  }

  #entry(parts: Buffer[], tag: 'F' | 'P', text: Buffer, epochMs: number): void {
    parts.push(Buffer.from(`${logTime(epochMs)} ${this.#stream} ${tag} `), text, Buffer.from('\n'));
  }
}

/** One entry, its newline taken off; undefined when it is not one. */
export const parseEntry = (
  line: Buffer,
): Readonly<{ time: string; isWhole: boolean; text: Buffer }> | undefined => {
  const afterTime = line.indexOf(0x20);
  const afterStream = line.indexOf(0x20, afterTime + 1);
  if (afterTime <= 0 || afterStream < 0 || line[afterStream + 2] !== 0x20) return undefined;
  return {
    time: line.toString('latin1', 0, afterTime),
    isWhole: line[afterStream + 1] === 0x46,
    text: line.subarray(afterStream + 3),
  };
};
