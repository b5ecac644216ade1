import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { status } from '@grpc/grpc-js';
import { expect } from 'chai';

import { OutputStream, State, type WatchEvent } from '../../../src/proto/gen/executor.js';
import { collectGarbage } from '../../support/collect-garbage.js';
import { codeOf, type Harness, startHarness } from './harness.js';

const kinds = (events: readonly WatchEvent[], id: string): readonly string[] =>
  events.filter((event) => event.id === id).map(({ event }) => event?.$case ?? 'nothing');

describe('Watch', () => {
  let harness: Harness;
  before(async () => {
    harness = await startHarness();
  });
  after(() => harness.stop());

  it('tells start, output and end in this order, while it happens', async () => {
    const { client } = harness;
    const watching = client.watch();
    const id = await client.script('mkfifo gate; echo one; read -r _ < gate; echo two');
    await watching.output(id, 'one');
    expect(kinds(watching.events, id)).to.deep.equal(['started', 'output']);
    writeFileSync(join(client.workDir, id, 'gate'), '\n');
    const exited = await watching.exited(id);
    expect(kinds(watching.events, id)).to.deep.equal(['started', 'output', 'output', 'exited']);
    expect(exited).to.include({ stdoutBytes: 8, stderrBytes: 0 });
    const times = watching.events.map((event) => event.timeMicros);
    expect(times).to.deep.equal(times.toSorted((a, b) => a - b));
    expect(Math.abs((times.at(-1) ?? 0) / 1_000 - Date.now())).to.be.lessThan(60_000);
    watching.cancel();
  });

  it('says when everything that was there at the call has been told', async () => {
    const { client } = harness;
    const { id } = await client.run('echo before');
    const late = client.watch();
    await late.until((events) => (events.some(({ event }) => event?.$case === 'synced') ? true : undefined));
    expect(kinds(late.events, id)).to.deep.equal(['started', 'output', 'exited']);
    expect(late.events.filter(({ event }) => event?.$case === 'synced')).to.have.lengthOf(1);
    late.cancel();

    const empty = await startHarness();
    const first = empty.client.watch();
    await first.until((events) => events[0]?.event?.$case === 'synced' || undefined);
    first.cancel();
    await empty.stop();
  });

  it('resumes at every cursor with the very bytes', async () => {
    const { client } = harness;
    const { id, stdout } = await client.run('for i in {1..30000}; do echo "line $i"; done; echo err >&2');
    for (const offset of [0, 1, 1_023, 1_024, 65_535, 65_536, 100_000, stdout.length - 1, stdout.length]) {
      const watching = client.watch([{ id, stdoutOffset: offset, stderrOffset: 2 }]);
      await watching.exited(id);
      expect(watching.text(id) === stdout.slice(offset), `from ${offset}`).to.equal(true);
      expect(watching.text(id, OutputStream.OUTPUT_STREAM_STDERR)).to.equal('r\n');
      watching.cancel();
    }
  });

  it('carries bytes that are no text', async () => {
    const { client } = harness;
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, n) => n));
    const id = client.newId();
    client.write(id, 'bytes', bytes);
    await client.script('cat bytes; cat bytes >&2', { id });
    const { watching } = await client.finish(id);
    expect(watching.bytes(id).equals(bytes)).to.equal(true);
    expect(watching.bytes(id, OutputStream.OUTPUT_STREAM_STDERR).equals(bytes)).to.equal(true);
    const { stdout, state } = await client.status(id);
    expect(state).to.equal(State.STATE_SUCCEEDED);
    expect(stdout).to.contain('ABC').and.contain('\ufffd');
  });

  it('refuses a cursor that can not be', async () => {
    const { client } = harness;
    const call = new Promise((_, reject) => {
      const stream = client.grpc.watch({ cursors: [{ id: 'x', stdoutOffset: -1, stderrOffset: 0 }] });
      stream.on('error', reject).resume();
    });
    expect(await codeOf(call)).to.equal(status.INVALID_ARGUMENT);
  });

  it('serves many watchers alike', async () => {
    const { client } = harness;
    const watchers = Array.from({ length: 20 }, () => client.watch());
    const id = await client.script('for i in {1..500}; do echo $i; done');
    await Promise.all(watchers.map((watching) => watching.exited(id)));
    const texts = new Set(watchers.map((watching) => watching.text(id)));
    expect([...texts]).to.deep.equal([Array.from({ length: 500 }, (_, n) => `${n + 1}\n`).join('')]);
    for (const watching of watchers) watching.cancel();
  });
});

describe('an output flood', () => {
  const mebibyte = 1_048_576;
  let harness: Harness;
  before(async () => {
    harness = await startHarness({ headBytes: 65_536, tailBytes: 131_072 });
  });
  after(() => harness.stop());

  const flood = 'seq 1 800000; echo the end';
  const whole = spawnSync('bash', ['-c', flood], { maxBuffer: 64 * mebibyte }).stdout;

  it('keeps head and tail, tells the gap, and is told of in full by numbers', async () => {
    const { client } = harness;
    expect(whole.length).to.be.greaterThan(5 * mebibyte);
    const { id } = await client.run(flood);
    const late = client.watch();
    const exited = await late.exited(id);
    expect(exited.stdoutBytes).to.equal(whole.length);
    let next = 0;
    let gaps = 0;
    for (const { event } of late.events) {
      if (event?.$case !== 'output') continue;
      const { offset, data } = event.value;
      expect(data.length).to.be.lessThanOrEqual(65_536);
      expect(whole.subarray(offset, offset + data.length).equals(data), `at ${offset}`).to.equal(true);
      if (offset !== next) gaps += 1;
      next = offset + data.length;
    }
    expect([gaps, next]).to.deep.equal([1, whole.length]);
    expect(late.bytes(id).length).to.equal(exited.stdoutBytes - exited.stdoutDropped);
    expect(late.bytes(id).length).to.be.within(65_536 + 131_072, 65_536 + 131_072 + 65_536);
    const { stdout } = await client.status(id);
    expect(stdout.startsWith('1\n2\n')).to.equal(true);
    expect(stdout.endsWith('799999\n800000\nthe end\n')).to.equal(true);
    expect(stdout).to.contain(`[... ${exited.stdoutDropped} bytes dropped ...]`);
    late.cancel();
  });

  it('does not wait for a watcher that reads nothing, nor pile up memory for it', async () => {
    const { client } = harness;
    const slow = client.watch();
    slow.stream.pause();
    collectGarbage();
    const before = process.memoryUsage().arrayBuffers;
    const ids = await Promise.all(Array.from({ length: 4 }, () => client.script(flood)));
    const quick = client.watch(ids.map((id) => ({ id, stdoutOffset: 1e9, stderrOffset: 0 })));
    await Promise.all(ids.map((id) => quick.exited(id)));
    // What is no longer held is given back in the turns after a collection.
    let grown = Number.POSITIVE_INFINITY;
    for (let turn = 0; turn < 20 && grown >= 12 * mebibyte; turn += 1) {
      collectGarbage();
      await new Promise((resolve) => setImmediate(resolve));
      grown = process.memoryUsage().arrayBuffers - before;
    }
    expect(grown).to.be.lessThan(12 * mebibyte);
    slow.stream.resume();
    for (const id of ids) {
      await slow.exited(id);
      expect(slow.text(id).endsWith('the end\n')).to.equal(true);
    }
    slow.cancel();
    quick.cancel();
  });

  it('is listed within what a gRPC client takes', async () => {
    const big = await startHarness();
    const { client } = big;
    const ids = await Promise.all(
      Array.from({ length: 3 }, () =>
        client.script('head -c 3000000 /dev/zero | tr "\\0" "\\377" | tee /dev/stderr'),
      ),
    );
    for (const id of ids) await client.finish(id);
    const bytes = (value: object): number => Buffer.byteLength(JSON.stringify(value));
    const all = await client.list();
    expect(all.entries.map((entry) => entry.id).toSorted()).to.deep.equal(ids.toSorted());
    expect(bytes(all)).to.be.lessThan(4 * mebibyte);
    expect(bytes(await client.status(ids[0] ?? ''))).to.be.within(3 * mebibyte, 4 * mebibyte);
    await big.stop();
  });
});
