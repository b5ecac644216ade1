import { expect } from 'chai';
import * as E from 'fp-ts/lib/Either.js';
import { firstValueFrom, of } from 'rxjs';

import type { RunEvent } from '../../../src/decide/lifecycle.js';
import type { Assignment, EndEvent } from '../../../src/decide/sidecar/attempt.js';
import { type WriterPorts, writeStatus } from '../../../src/io/runs/status-writer.js';
import type { EffectError } from '../../../src/model/effect-error.js';
import { RunUid } from '../../../src/model/ids.js';
import type { RunStatus } from '../../../src/model/run.js';
import { micros } from '../../../src/model/time.js';
import type { Patch } from '../../../src/ports.js';

const POD = 'pod-1';
const uid = 'uid-1';
if (!RunUid.is(uid)) throw new Error('not a uid');

const scheduled: RunStatus = { phase: 'Scheduled', assignedPod: 'p', assignedPodUID: POD, attempt: 1 };
const assignment: Assignment = {
  ref: { namespace: 'default', name: 'r', uid, attempt: 1 },
  runtime: 'bash',
  requests: { runs: 1 },
  policy: { retry: { maxAttempts: 1, backoffMs: 1000, reasons: [] }, cancelRequested: false },
  status: scheduled,
};
const succeeded: EndEvent = {
  kind: 'AttemptEnded',
  result: { kind: 'Succeeded', exitCode: 0, outputs: { a: '1' }, artifactRefs: [] },
  startedAt: micros(1_000_000),
  at: micros(2_000_000),
  chance: 0,
};
const started: RunEvent = { kind: 'Started', at: micros(1_000_000) };

const stored = (status: Readonly<Record<string, unknown>>, otherUid: string = uid): unknown => ({
  metadata: { name: 'r', namespace: 'default', uid: otherUid, resourceVersion: '2', creationTimestamp: '' },
  spec: { runtime: 'bash' },
  status: { assignedPod: 'p', assignedPodUID: POD, attempt: 1, ...status },
});

const failure = (kind: EffectError['kind']): EffectError => ({ kind, message: `it is ${kind}` });

/** A script of answers to patches (an error, or taken), and what a read gives. */
const write = async (
  event: RunEvent,
  answers: ReadonlyArray<EffectError['kind'] | 'ok'>,
  now: unknown = stored({ phase: 'Scheduled' }),
): Promise<Readonly<{ result: unknown; patches: ReadonlyArray<Patch>; holds: number; reads: number }>> => {
  const patches: Patch[] = [];
  const script = [...answers];
  const count = { holds: 0, reads: 0 };
  const ports: WriterPorts = {
    podUid: POD,
    chance: () => 0.9,
    hold: () => {
      count.holds += 1;
      return Promise.reject(new Error('the disk is full'));
    },
    onRetry: () => undefined,
    kube: {
      get: () => {
        count.reads += 1;
        return of(now === null ? E.left(failure('NotFound')) : E.right(now));
      },
      patch: (_resource, _ref, patch) => {
        patches.push(patch);
        const answer = script.shift();
        if (answer === undefined) throw new Error('one write more than the script has');
        return of(answer === 'ok' ? E.right({}) : E.left(failure(answer)));
      },
    },
  };
  const result = await firstValueFrom(writeStatus(assignment, event, ports));
  expect(script, 'answers that were not asked for').to.deep.equal([]);
  return { result, patches, ...count };
};

const tests = (patch: Patch | undefined): ReadonlyArray<unknown> =>
  patch?.type === 'json'
    ? patch.body.filter(({ op }) => op === 'test').map((o) => ('value' in o ? o.value : ''))
    : [];

describe('writeStatus', () => {
  it('writes behind a fence of UID, pod, attempt and phase, in one call', async () => {
    const { result, patches, reads, holds } = await write(succeeded, ['ok']);
    expect(result).to.have.nested.property('status.phase', 'Succeeded');
    expect(tests(patches[0])).to.deep.equal([uid, POD, 1, 'Scheduled']);
    expect([reads, holds]).to.deep.equal([0, 0]);
  });

  it('makes the step again when only the phase had moved on: an answer was lost', async () => {
    const { result, patches } = await write(
      succeeded,
      ['Conflict', 'ok'],
      stored({ phase: 'Running', startTime: '1970-01-01T00:00:01Z' }),
    );
    expect(result).to.have.property('kind', 'StatusWritten');
    expect(tests(patches[1])).to.deep.equal([uid, POD, 1, 'Running']);
  });

  it('takes Running that is written already for written', async () => {
    const { result, patches } = await write(started, ['Conflict'], stored({ phase: 'Running' }));
    expect(result).to.have.nested.property('status.phase', 'Running');
    expect(patches).to.have.length(1);
  });

  const moved: ReadonlyArray<readonly [string, unknown]> = [
    ['another pod', stored({ phase: 'Scheduled', assignedPodUID: 'pod-2' })],
    ['another attempt', stored({ phase: 'Scheduled', attempt: 2 })],
    ['an end', stored({ phase: 'Failed' })],
    ['a new Run of the same name', stored({ phase: 'Scheduled' }, 'uid-2')],
    ['a deletion', null],
  ];
  for (const [what, now] of moved)
    it(`is fenced by ${what}`, async () => {
      const { result, patches } = await write(succeeded, ['Conflict'], now);
      expect(result).to.have.property('kind', 'StatusFenced');
      expect(patches).to.have.length(1);
    });

  it('is fenced by a Run that is not there any more', async () => {
    expect((await write(succeeded, ['NotFound'])).result).to.have.property('kind', 'StatusFenced');
  });

  it('tries an end until it is taken, and keeps it on disk from the first failure on, once', async () => {
    const { result, holds } = await write(succeeded, ['Unavailable', 'Forbidden', 'ok']);
    expect(result).to.have.property('kind', 'StatusWritten');
    expect(holds).to.equal(1);
  });

  it('gives up Running when the API is away: the end says all of it', async () => {
    const { result, holds } = await write(started, ['Unavailable']);
    expect(result).to.deep.equal({ kind: 'StatusUnwritten' });
    expect(holds).to.equal(0);
  });

  it('writes a result that the API calls invalid without its outputs, so that the Run does end', async () => {
    const { result } = await write(succeeded, ['Invalid', 'ok']);
    expect(result).to.have.nested.property('status.phase', 'Failed');
    expect(result).to.not.have.nested.property('status.outputs');
  });
});
