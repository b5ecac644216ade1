import { expect } from 'chai';
import { Subject } from 'rxjs';

import type { ServerEvent, ServerNews } from '../../../src/decide/sidecar/server-event.js';
import { LANE_BYTES, SLICE_BYTES, teeOutput } from '../../../src/io/run-logs/tee.js';
import { micros } from '../../../src/model/time.js';
import { standStill } from '../../support/stand-still.js';

const at = micros(0);
const HEAD_BYTES = 256 * 1024;
const output = (id: string, offset: number, size: number): ServerEvent => ({
  kind: 'Output',
  id,
  stream: 'stdout',
  offset,
  data: Buffer.alloc(size, 'x'),
  at,
});
const exited = (id: string): ServerEvent => ({
  kind: 'Exited',
  id,
  exit: { code: 0, signal: 0, cause: 'Exited', errorMessage: '', at },
});

/** What reached the logs and what went on, in order; resolves when `id` has ended. */
const play = (events: ReadonlyArray<ServerEvent>, last: string): Promise<ReadonlyArray<string>> =>
  new Promise((resolve) => {
    const seen: string[] = [];
    const source = new Subject<ServerEvent>();
    const subscription = source
      .pipe(
        teeOutput(
          {
            output: (id, _stream, offset, data) => seen.push(`${id} ${offset} ${data.length}`),
            finish: (id) => `last of ${id}`,
            close: () => undefined,
          },
          { headBytes: HEAD_BYTES },
        ),
      )
      .subscribe((news: ServerNews) => {
        seen.push(news.kind === 'Exited' ? `${news.id} exited: ${news.exit.lastStderr}` : news.kind);
        if (news.kind !== 'Exited' || news.id !== last) return;
        resolve(seen);
        queueMicrotask(() => subscription.unsubscribe());
      });
    for (const event of events) source.next(event);
  });

describe('teeOutput', () => {
  it('works small output off at once, and takes the last line of stderr along with the end', async () => {
    expect(await play([output('a', 0, 10), exited('a')], 'a')).to.deep.equal([
      'a 0 10',
      'a exited: last of a',
    ]);
  });

  it('lets a neighbour end while a flood waits, and the flood only after all its output', async () => {
    const seen = await play(
      [output('flood', 0, 3 * SLICE_BYTES), exited('flood'), output('b', 0, 5), exited('b')],
      'flood',
    );
    expect(seen).to.deep.equal([
      `flood 0 ${SLICE_BYTES}`,
      'b 0 5',
      'b exited: last of b',
      `flood ${SLICE_BYTES} ${SLICE_BYTES}`,
      `flood ${2 * SLICE_BYTES} ${SLICE_BYTES}`,
      'flood exited: last of flood',
    ]);
  });

  it('keeps the head of a flood and its end within the bound of a lane, and drops what is between them', async () => {
    const chunk = 64 * 1024;
    const count = LANE_BYTES / chunk + 50;
    const seen = await play(
      [...Array.from({ length: count }, (_, i) => output('a', i * chunk, chunk)), exited('a')],
      'a',
    );
    const pieces = seen.slice(0, -1).map((line) => line.split(' ').slice(1).map(Number));
    const bytes = pieces.reduce((sum, [, size = 0]) => sum + size, 0);
    expect(bytes).to.be.within(LANE_BYTES - chunk, LANE_BYTES + SLICE_BYTES);
    const gaps = pieces.filter(([offset = 0], index) => {
      const [before = 0, size = 0] = pieces[index - 1] ?? [];
      return index > 0 && offset !== before + size;
    });
    expect(gaps).to.have.length(1);
    expect(gaps[0]?.[0]).to.equal(HEAD_BYTES + 50 * chunk);
    expect(pieces.at(-1)?.[0]).to.equal(count * chunk - SLICE_BYTES);
    expect(seen.at(-1)).to.equal('a exited: last of a');
  });

  it('rests between spells of work once a flood has gone on for a while, so that others have their turn', async () => {
    const chunk = output('flood', 0, 3 * 1024 * 1024);
    let workedMs = 0;
    const source = new Subject<ServerEvent>();
    const began = performance.now();
    await new Promise<void>((resolve) => {
      const work = (_id: string, _stream: string, offset: number): void => {
        standStill(1);
        if (offset >= 1024 * 1024) workedMs += 1;
      };
      source
        .pipe(
          teeOutput({ output: work, finish: () => '', close: () => undefined }, { headBytes: HEAD_BYTES }),
        )
        .subscribe(() => resolve());
      source.next(chunk);
      source.next(exited('flood'));
    });
    const rested = performance.now() - began - workedMs;
    // Each rest is as long as the spell before it; the first MiB has none.
    expect(rested).to.be.greaterThan(workedMs);
  });
});
