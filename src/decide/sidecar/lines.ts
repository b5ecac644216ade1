/**
 * Output to lines: chunks with offsets in, records out. One splitter per stream of one attempt.
 *
 * A line longer than 64 KiB is cut into partial records, so that a splitter never holds more. Chunks that were seen
 * before (after a reconnect) are skipped; bytes that never came are one record that says how many.
 */

/** Longest line of one record, bytes. */
export const MAX_LINE_BYTES = 64 * 1024;

export type Line = Readonly<{
  /** Without its newline; empty when `droppedBytes` is not 0. */
  bytes: Buffer;
  /** No newline ended it. */
  partial: boolean;
  droppedBytes: number;
}>;

const NEWLINE = 0x0a;
const EMPTY = Buffer.alloc(0);

/** Bytes of the stream that a record stands for. */
export const spanOf = ({ bytes, partial, droppedBytes }: Line): number =>
  droppedBytes > 0 ? droppedBytes : bytes.length + (partial ? 0 : 1);

export class LineSplitter {
  #pending: Buffer = EMPTY;
  /** Offset of the next byte wanted. */
  #next: number;

  /** @param from offset of the first byte wanted: what earlier records already stand for */
  constructor(from = 0) {
    this.#next = from;
  }

  /** The offset up to which whole records were given out: where to resume. */
  get offset(): number {
    return this.#next - this.#pending.length;
  }

  /** Records that this chunk completes. */
  push(offset: number, data: Buffer): ReadonlyArray<Line> {
    const lines: Line[] = [];
    if (offset > this.#next) {
      lines.push(...this.flush(), { bytes: EMPTY, partial: true, droppedBytes: offset - this.#next });
      this.#next = offset;
    }
    const fresh = data.subarray(Math.min(data.length, this.#next - offset));
    this.#next += fresh.length;
    let rest = this.#pending.length === 0 ? fresh : Buffer.concat([this.#pending, fresh]);
    for (let at = rest.indexOf(NEWLINE); at >= 0; at = rest.indexOf(NEWLINE)) {
      lines.push(...cut(rest.subarray(0, at), false));
      rest = rest.subarray(at + 1);
    }
    for (; rest.length > MAX_LINE_BYTES; rest = rest.subarray(MAX_LINE_BYTES))
      lines.push({ bytes: rest.subarray(0, MAX_LINE_BYTES), partial: true, droppedBytes: 0 });
    // A copy: what is left must not keep a whole network buffer alive.
    this.#pending = rest.length === 0 ? EMPTY : Buffer.from(rest);
    return lines;
  }

  /** What is left without a newline, at the end of the stream. */
  flush(): ReadonlyArray<Line> {
    const rest = this.#pending;
    this.#pending = EMPTY;
    return rest.length === 0 ? [] : [{ bytes: rest, partial: true, droppedBytes: 0 }];
  }
}

/** A line in records of at most the limit; all but the last are partial. */
const cut = (line: Buffer, partial: boolean): ReadonlyArray<Line> => {
  const lines: Line[] = [];
  let rest = line;
  for (; rest.length > MAX_LINE_BYTES; rest = rest.subarray(MAX_LINE_BYTES))
    lines.push({ bytes: rest.subarray(0, MAX_LINE_BYTES), partial: true, droppedBytes: 0 });
  return [...lines, { bytes: rest, partial, droppedBytes: 0 }];
};
