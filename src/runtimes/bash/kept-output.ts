/**
 * What is kept of one output stream: its first bytes and its last ones, at most `headBytes` and `tailBytes` (and a
 * block) of them. Bytes are addressed by their offset in the whole stream.
 *
 * Blocks are only ever appended to, so a slice once given out stays as it is.
 */

export type OutputBounds = Readonly<{ headBytes: number; tailBytes: number }>;

/** Bytes from `offset` on; one that is greater than what was asked for tells of a gap. */
export type Slice = Readonly<{ offset: number; data: Buffer }>;

type Block = { readonly offset: number; readonly buffer: Buffer; used: number };

/** Blocks start small, as most outputs are, and double up to this. */
const largestBlock = 65_536;
const smallestBlock = 1_024;

export class KeptOutput {
  readonly #bounds: OutputBounds;
  readonly #head: Block[] = [];
  readonly #tail: Block[] = [];
  #tailBytes = 0;
  #total = 0;
  #dropped = 0;

  constructor(bounds: OutputBounds) {
    this.#bounds = bounds;
  }

  /** Bytes the stream has produced so far. */
  get total(): number {
    return this.#total;
  }

  /** Bytes of them that are no longer kept. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Copies the bytes; the caller may reuse its buffer. */
  append(bytes: Uint8Array): void {
    for (let from = 0; from < bytes.length; ) {
      const block = this.#writable();
      const room = Math.min(block.buffer.length - block.used, bytes.length - from);
      block.buffer.set(bytes.subarray(from, from + room), block.used);
      block.used += room;
      from += room;
      this.#total += room;
      if (this.#tail.length > 0) this.#tailBytes += room;
    }
    this.#dropOld();
  }

  #writable(): Block {
    const blocks = this.#tail.length > 0 ? this.#tail : this.#head;
    const last = blocks.at(-1);
    if (last !== undefined && last.used < last.buffer.length) return last;
    const headLeft = this.#bounds.headBytes - this.#total;
    const size = Math.min(largestBlock, last === undefined ? smallestBlock : last.buffer.length * 2);
    const inHead = this.#tail.length === 0 && headLeft > 0;
    const block: Block = {
      offset: this.#total,
      buffer: Buffer.allocUnsafeSlow(inHead ? Math.min(size, headLeft) : size),
      used: 0,
    };
    (inHead ? this.#head : this.#tail).push(block);
    return block;
  }

  #dropOld(): void {
    for (;;) {
      const oldest = this.#tail[0];
      // The last byte is always kept, so that every reader comes to the end.
      if (oldest === undefined || this.#tailBytes - oldest.used < Math.max(1, this.#bounds.tailBytes)) return;
      this.#tail.shift();
      this.#tailBytes -= oldest.used;
      this.#dropped += oldest.used;
    }
  }

  /** At most `max` bytes, the first of them at `offset` or, if those are gone, at the next that is kept. */
  read(offset: number, max: number): Slice | undefined {
    for (const blocks of [this.#head, this.#tail])
      for (const block of blocks) {
        const end = block.offset + block.used;
        if (end <= offset || block.used === 0) continue;
        const start = Math.max(offset, block.offset);
        return {
          offset: start,
          data: block.buffer.subarray(start - block.offset, Math.min(end, start + max) - block.offset),
        };
      }
    return undefined;
  }

  /** Gives back the unused rest of the last block, once nothing more will come. */
  trim(): void {
    const blocks = this.#tail.length > 0 ? this.#tail : this.#head;
    const last = blocks.pop();
    if (last !== undefined && last.used > 0)
      blocks.push({ ...last, buffer: Buffer.from(last.buffer.subarray(0, last.used)) });
  }

  /** All that is kept, as one piece before the gap and one after it. */
  pieces(): Readonly<{ head: Buffer; tail: Buffer }> {
    const bytes = (blocks: readonly Block[]): Buffer =>
      Buffer.concat(blocks.map((block) => block.buffer.subarray(0, block.used)));
    return { head: bytes(this.#head), tail: bytes(this.#tail) };
  }
}
