import { expect } from 'chai';
import * as E from 'fp-ts/lib/Either.js';
import { EMPTY, from, of } from 'rxjs';

import type { AttemptRef } from '../../../src/decide/sidecar/attempt.js';
import { markStored } from '../../../src/io/runs/mark-stored.js';
import type { RecordedStore } from '../../../src/model/artifact-store.js';
import type { EffectError } from '../../../src/model/effect-error.js';
import type { RunUid } from '../../../src/model/ids.js';
import { ARTIFACT_FINALIZER } from '../../../src/model/names.js';
import type { KubePort, WatchFrame } from '../../../src/ports.js';

const store: RecordedStore = { driver: 's3', s3: { bucket: 'b' } };
const ref: AttemptRef = { namespace: 'ns', name: 'r', uid: 'uid-r' as RunUid, attempt: 2 };
const MARK = { finalizers: [ARTIFACT_FINALIZER] };

const aRun = (metadata: object = {}, status: object = {}) => ({
  metadata: {
    name: 'r',
    namespace: 'ns',
    uid: 'uid-r',
    resourceVersion: '7',
    creationTimestamp: '2026-01-01T00:00:00Z',
    ...metadata,
  },
  spec: { runtime: 'bash' },
  status: { phase: 'Running', assignedPod: 'p', assignedPodUID: 'pod-1', attempt: 2, ...status },
});
const RECORDED = { artifactStores: [store] };

type Answer = object | EffectError['kind'];
const answered = (answer: Answer | undefined) => {
  if (answer === undefined) throw new Error('nobody expected this call');
  return of(
    typeof answer === 'string'
      ? E.left<EffectError, unknown>({ kind: answer, message: answer })
      : E.right<EffectError, unknown>(answer),
  );
};

/** Calls it against these answers; what became of it, and what was called. */
const mark = async (
  gets: ReadonlyArray<Answer>,
  patches: ReadonlyArray<Answer> = [],
  frames: ReadonlyArray<WatchFrame> = [],
) => {
  const [get, patch] = [[...gets], [...patches]];
  const calls: string[] = [];
  const kube: Pick<KubePort, 'get' | 'patch' | 'watch'> = {
    get: () => {
      calls.push('get');
      return answered(get.shift());
    },
    patch: (_resource, _ref, body, options) => {
      calls.push(`patch ${options?.subresource ?? 'all'} ${JSON.stringify(body.body)}`);
      return answered(patch.shift());
    },
    watch: (_resource, { fieldSelector }, { resourceVersion }) => {
      calls.push(`watch ${fieldSelector} from ${resourceVersion}`);
      return frames.length === 0
        ? EMPTY
        : from(frames.map((frame) => E.right<EffectError, WatchFrame>(frame)));
    },
  };
  const said = await markStored(ref, 'pod-1', store, kube, (error) => calls.push(`retry ${error.kind}`));
  expect([...get, ...patch], 'answers that nobody asked for').to.deep.equal([]);
  return { said, calls };
};

describe('markStored', () => {
  it('writes the store behind its fence and waits for the finalizer', async () => {
    const { said, calls } = await mark(
      [aRun()],
      [aRun({ resourceVersion: '8' }, RECORDED)],
      [
        { type: 'MODIFIED', object: aRun({ resourceVersion: '9', labels: { a: 'b' } }, RECORDED) },
        { type: 'MODIFIED', object: aRun({ resourceVersion: '10', ...MARK }, RECORDED) },
      ],
    );
    expect(said).to.equal(undefined);
    expect(calls[0]).to.equal('get');
    expect(calls[1]).to.match(
      /^patch status .*"test","path":"\/metadata\/uid","value":"uid-r".*assignedPodUID","value":"pod-1".*attempt","value":2.*artifactStores/,
    );
    expect(calls.slice(2)).to.deep.equal(['watch metadata.name=r from 8']);
  });

  it('has nothing to do for a Run that an earlier attempt has marked', async () => {
    expect(await mark([aRun(MARK, RECORDED)])).to.deep.equal({ said: undefined, calls: ['get'] });
  });

  const refusals: ReadonlyArray<readonly [string, ReadonlyArray<Answer>, RegExp]> = [
    ['was deleted', ['NotFound'], /was deleted/],
    ['is another of the same name', [aRun({ uid: 'uid-s' })], /was deleted/],
    ['is being deleted', [aRun({ deletionTimestamp: '2026-01-01T00:00:00Z', ...MARK })], /being deleted/],
    ['has ended', [aRun({}, { phase: 'Failed' })], /is Failed already/],
    ['is on another pod', [aRun({}, { assignedPodUID: 'pod-2' })], /attempt 2 on pod p/],
    ['is at another attempt', [aRun({}, { attempt: 3 })], /attempt 3/],
  ];
  for (const [what, gets, message] of refusals)
    it(`says no for a Run that ${what}, and writes nothing`, async () => {
      const { said, calls } = await mark(gets);
      expect(said).to.match(message);
      expect(calls).to.deep.equal(['get']);
    });

  it('says no when the Run is deleted while it waits', async () => {
    const deleted = await mark([aRun()], [aRun({}, RECORDED)], [{ type: 'DELETED', object: aRun() }]);
    expect(deleted.said).to.match(/was deleted/);
    const going = aRun({ deletionTimestamp: '2026-01-01T00:00:00Z', finalizers: ['x.io/a'] }, RECORDED);
    const leaving = await mark([aRun()], [aRun({}, RECORDED)], [{ type: 'MODIFIED', object: going }]);
    expect(leaving.said).to.match(/being deleted/);
  });

  it('looks again when something else was written meanwhile, and waits for an API that is away', async () => {
    const { said, calls } = await mark(['Unavailable', aRun(), aRun(MARK, RECORDED)], ['Conflict']);
    expect(said).to.equal(undefined);
    expect(calls.map((call) => call.split(' ')[0])).to.deep.equal(['get', 'retry', 'get', 'patch', 'get']);
  });

  it('gives up on what no waiting changes', async () => {
    expect((await mark(['Forbidden'])).said).to.match(/could not be marked: Forbidden/);
  });
});
