/**
 * What is kept is a prefix and a suffix of what was written, each at least as long as its bound (if there was as much)
 * and at most a block longer; every read gives the very bytes of its offset, and reading on from its end reaches the
 * end of the stream.
 */
import { expect } from 'chai';
import * as fc from 'fast-check';

import { KeptOutput } from '../../../src/runtimes/bash/kept-output.js';

const block = 65_536;

describe('KeptOutput', () => {
  const writes = fc.array(fc.integer({ min: 0, max: 90_000 }), { maxLength: 12 });
  const bounds = fc.record({ headBytes: fc.nat(150_000), tailBytes: fc.nat(150_000) });
  /** Bytes that tell their offset. */
  const all = Buffer.alloc(12 * 90_000);
  for (let at = 0; at < all.length; at += 1) all[at] = at * 31 + (at >> 8);

  it('gives back the bytes of every offset it keeps, and keeps what it promises', () =>
    fc.assert(
      fc.property(
        writes,
        bounds,
        fc.integer({ min: 700, max: 70_000 }),
        (sizes, { headBytes, tailBytes }, step) => {
          const total = sizes.reduce((sum, size) => sum + size, 0);
          const whole = all.subarray(0, total);
          const kept = new KeptOutput({ headBytes, tailBytes });
          let at = 0;
          for (const size of sizes) {
            const shared = Buffer.from(whole.subarray(at, at + size));
            kept.append(shared);
            shared.fill(0);
            at += size;
          }
          kept.trim();
          expect(kept.total).to.equal(total);

          let next = 0;
          let read = 0;
          let gapAt: number | undefined;
          for (let slice = kept.read(0, step); slice !== undefined; slice = kept.read(next, step)) {
            expect(slice.data.length).to.be.within(1, step);
            expect(
              whole.subarray(slice.offset, slice.offset + slice.data.length).equals(slice.data),
            ).to.equal(true);
            if (slice.offset !== next) {
              expect(gapAt).to.equal(undefined);
              gapAt = next;
              expect(total - slice.offset).to.be.within(tailBytes, tailBytes + block + 1);
            }
            next = slice.offset + slice.data.length;
            read += slice.data.length;
          }
          expect(next).to.equal(total);
          expect(kept.dropped).to.equal(total - read);
          if (gapAt !== undefined) expect(gapAt).to.equal(headBytes);
          const { head, tail } = kept.pieces();
          expect(head.length + tail.length).to.equal(read);
        },
      ),
      { numRuns: 100 },
    ));
});
