/** What an execution costs that is over before anybody looks, and that nothing of it is lost. */
import { createHook } from 'node:async_hooks';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect } from 'chai';

import { FifoStock } from '../../../src/io/processes/fifos.js';
import { EndCause } from '../../../src/proto/gen/executor.js';
import { Execution } from '../../../src/runtimes/bash/execution.js';
import { startCold } from '../../../src/runtimes/bash/launch.js';
import { TreeMarker } from '../../../src/runtimes/bash/marker.js';

describe('Execution', () => {
  let folder: string;
  let fifos: FifoStock;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'krt-execution-'));
    fifos = new FifoStock(folder);
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** One that is left alone so long, and how often it had news. */
  const begin = (script: string, restMs: number) => {
    const start = { bash: '/bin/bash', args: ['-c', script], cwd: folder, env: process.env };
    const settings = {
      bounds: { headBytes: 1_000, tailBytes: 1_000 },
      // Nothing here is killed, however slow the machine is.
      graceMs: 60_000,
      timeoutMs: 0,
      restMs,
      stormRestMs: 0,
    };
    const news: boolean[] = [];
    const execution = Execution.of('x', startCold(start, fifos, new TreeMarker()), settings, ({ exited }) =>
      news.push(exited !== undefined),
    );
    return { execution, news };
  };

  it('is told of once, as a whole, and read without a stream when it ends while it is left alone', async () => {
    let streams = 0;
    const hook = createHook({
      init: (_id, type) => {
        if (type === 'PIPEWRAP') streams += 1;
      },
    }).enable();
    const { execution, news } = begin('echo out; echo err >&2; exit 3', 60_000);
    await execution.ended;
    hook.disable();
    expect([streams, news]).to.deep.equal([0, [true]]);
    expect(execution.exited?.value).to.include({ code: 3, cause: EndCause.END_CAUSE_EXITED });
    expect([execution.stdout, execution.stderr].map((kept) => kept.pieces().head.toString())).to.deep.equal([
      'out\n',
      'err\n',
    ]);
  });

  it('is told of while it runs when it runs longer', async () => {
    const { execution, news } = begin('echo out; sleep 60', 1);
    while (execution.stdout.total === 0) await new Promise(setImmediate);
    expect(news).to.include(false);
    execution.end(EndCause.END_CAUSE_CANCELLED);
    await execution.ended;
    expect(news.at(-1)).to.equal(true);
  });

  it('can be ended while it is left alone', async () => {
    const { execution } = begin('sleep 60', 60_000);
    execution.end(EndCause.END_CAUSE_CANCELLED);
    await execution.ended;
    expect(execution.exited?.value).to.include({ signal: 15, cause: EndCause.END_CAUSE_CANCELLED });
  });
});
