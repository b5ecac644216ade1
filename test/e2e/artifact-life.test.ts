/** The life of artifacts, end to end: marked before they are stored, gone with their Run, whoever dies meanwhile. */
import { existsSync, mkdtempSync, readdirSync, rmSync, watch } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';

import { expect } from 'chai';
import * as E from 'fp-ts/lib/Either.js';
import { filter, firstValueFrom, timeout } from 'rxjs';

import type { RecordedStore } from '../../src/model/artifact-store.js';
import { conditionOf } from '../../src/model/conditions.js';
import { ARTIFACT_FINALIZER } from '../../src/model/names.js';
import type { Resource } from '../../src/model/resource.js';
import { events, namespaces, pods, runs, runtimes } from '../../src/model/resources.js';
import type { Run } from '../../src/model/run.js';
import { answer, type ControlPlane, hasControllers, startControlPlane } from './control-plane.js';

const KEEP = 'echo body > "$KRUNTIME_ARTIFACTS_DIR/x"';

/** Waits until the path is there, or no longer. */
const appears = (path: string, isThere = true): Promise<void> =>
  new Promise((resolve) => {
    const watcher = watch(dirname(path), () => look());
    const look = (): void => {
      if (existsSync(path) !== isThere) return;
      watcher.close();
      resolve();
    };
    look();
  });

describe('the life of artifacts', () => {
  let plane: ControlPlane;
  let claim = '';
  before(async () => {
    plane = await startControlPlane({ replicas: 1 });
    claim = join(plane.dataDir, 'volumes/default/kruntimes-artifacts');
  });
  after(() => plane.stop());

  /** Names of files that the store has of a Run, finished or not. */
  const stored = ({ metadata }: Run): ReadonlyArray<string> =>
    existsSync(claim)
      ? readdirSync(claim, { recursive: true, withFileTypes: true })
          .filter((entry) => entry.isFile())
          .map((entry) => join(entry.parentPath, entry.name))
          .filter((path) => path.includes(metadata.uid))
          .map((path) => basename(path))
          .sort()
      : [];
  const ended = async (name: string, inline: string, more: Record<string, unknown> = {}): Promise<Run> => {
    await plane.create(name, { source: { inline }, ...more });
    return plane.end(name);
  };
  const remove = (name: string): Promise<unknown> =>
    answer(plane.kube.delete(runs, { namespace: 'default', name }));
  const exists = async (resource: Resource, namespace: string, name: string): Promise<boolean> =>
    E.isRight(await firstValueFrom(plane.kube.get(resource, { namespace, name })));

  it('marks a Run that stores something, and no other', async () => {
    const kept = await ended('marked', KEEP);
    expect(kept.metadata.finalizers).to.deep.equal([ARTIFACT_FINALIZER]);
    expect(kept.status?.artifactStores?.map(({ driver }) => driver)).to.deep.equal(['filesystem']);
    // Before anything was stored: the versions in between had the mark and no reference.
    const marks = plane.history('marked').filter(({ metadata }) => metadata.finalizers !== undefined);
    expect(marks[0]?.status?.artifactRefs).to.equal(undefined);
    const none = await ended('unmarked', 'echo nothing');
    expect(none.metadata.finalizers).to.equal(undefined);
    expect(plane.history('unmarked').length).to.be.at.most(4);
    await remove('marked');
    await plane.whenGone('marked');
  });

  it('removes what all attempts have stored when the Run is deleted', async () => {
    const run = await ended('attempts', `${KEEP}; [ "$KRUNTIME_ATTEMPT" = 2 ]`, {
      retryPolicy: { maxAttempts: 2, backoff: '50ms' },
    });
    expect(stored(run)).to.deep.equal(['x', 'x']);
    await remove('attempts');
    await plane.whenGone('attempts');
    expect(stored(run)).to.deep.equal([]);
  });

  it('removes them when the time to live is over', async () => {
    const run = await plane.create('brief', { source: { inline: KEEP }, ttlSecondsAfterFinished: 0 });
    await plane.whenGone('brief');
    expect(stored(run)).to.deep.equal([]);
  });

  it('removes the log of a Run that has stored nothing else, after it', async () => {
    const run = await ended('talker', 'echo said');
    const folder = join(claim, 'default', run.metadata.uid);
    const log = basename(run.status?.logRef?.location ?? '');
    expect(log.startsWith(`log-1-${run.status?.assignedPodUID}.`), log).to.equal(true);
    await appears(folder);
    await appears(join(folder, log));
    expect(readdirSync(folder)).to.deep.equal([log]);
    await remove('talker');
    await plane.whenGone('talker');
    await appears(folder, false);
  });

  it('ends a Run that is deleted while it runs', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'krt-life-'));
    const file = join(folder, 'ended');
    const inline = `trap 'echo > ${file}' TERM; sleep 4321 & wait`;
    await plane.create('running', { source: { inline } });
    await plane.whenRun('running', ({ status }) => status?.phase === 'Running');
    await remove('running');
    await plane.whenGone('running');
    await appears(file);
    rmSync(folder, { recursive: true });
  });

  it('leaves nothing when the pod is killed in mid-upload and the Run deleted', async () => {
    await plane.create('torn', {
      source: { inline: 'head -c 900000000 /dev/zero > "$KRUNTIME_ARTIFACTS_DIR/big"' },
    });
    await plane.whenRun('torn', ({ status }) => status?.artifactStores !== undefined);
    const [pod = ''] = await plane.podNames();
    await answer(plane.kube.delete(pods, { namespace: 'default', name: pod }, { gracePeriodSeconds: 0 }));
    const run = await plane.end('torn');
    expect(run.status?.phase).to.equal('Failed');
    await plane.whenReady('bash', 1);
    await remove('torn');
    await plane.whenGone('torn');
    expect(stored(run)).to.deep.equal([]);
  });

  it('goes on with a deletion that the operator began before it was killed', async () => {
    const run = await ended('resumed', KEEP);
    const [pid] = plane.pidsOf('controller.js');
    if (pid !== undefined) process.kill(pid, 'SIGSTOP');
    await remove('resumed');
    if (pid !== undefined) process.kill(pid, 'SIGKILL');
    await plane.whenGone('resumed');
    expect(stored(run)).to.deep.equal([]);
  });

  it('says on the Run and in an Event which store it waits for, and lets it be given up', async () => {
    await plane.create('waiting', { runtime: 'nothing' });
    await plane.patchRun('waiting', { metadata: { finalizers: [ARTIFACT_FINALIZER] } });
    const artifactStores: ReadonlyArray<RecordedStore> = [
      { driver: 's3', s3: { bucket: 'b', endpoint: 'http://127.0.0.1:9', credentialsSecretName: 'gone' } },
    ];
    await answer(
      plane.kube.patch(
        runs,
        { namespace: 'default', name: 'waiting' },
        { type: 'merge', body: { status: { artifactStores } } },
        { subresource: 'status' },
      ),
    );
    await remove('waiting');
    const told = await plane.whenRun(
      'waiting',
      ({ status }) => conditionOf(status?.conditions, 'ArtifactsRemoved') !== undefined,
      60_000,
    );
    const condition = conditionOf(told.status?.conditions, 'ArtifactsRemoved');
    expect(condition).to.include({ status: 'False', reason: 'StoreFailed' });
    expect(condition?.message).to.match(
      /cannot be removed from s3:\/\/b: .*Secret gone.*kubectl annotate run -n default waiting kruntimes.io\/abandon-artifacts=true$/,
    );
    const { items } = await answer(plane.kube.list(events, { namespace: 'default' }));
    expect(JSON.stringify(items)).to.include('"reason":"StoreFailed"');
    await plane.patchRun('waiting', {
      metadata: { annotations: { 'kruntimes.io/abandon-artifacts': 'true' } },
    });
    await plane.whenGone('waiting');
  });

  it('removes artifacts through a pod made for it when the Runtime is gone', async () => {
    const run = await ended('orphaned', KEEP);
    expect(stored(run)).to.deep.equal(['x']);
    await answer(plane.kube.delete(runtimes, { namespace: 'default', name: 'bash' }));
    await remove('orphaned');
    await plane.whenGone('orphaned');
    expect(stored(run)).to.deep.equal([]);
  });

  it('does not hold up a namespace that is deleted', async function () {
    // Of $KUBEBUILDER_ASSETS, where nobody deletes namespaces.
    if (!hasControllers) return this.skip();
    const metadata = { name: 'doomed' };
    await answer(plane.kube.create(namespaces, '', { apiVersion: 'v1', kind: 'Namespace', metadata }));
    const manifest = {
      apiVersion: 'kruntimes.io/v1alpha1',
      kind: 'Run',
      metadata: { name: 'r', namespace: 'doomed', finalizers: [ARTIFACT_FINALIZER] },
      spec: { runtime: 'none', source: { inline: ':' } },
    };
    await answer(plane.kube.create(runs, 'doomed', manifest));
    const filesystem = { volumeClaimName: 'kruntimes-artifacts' };
    const body = { status: { artifactStores: [{ driver: 'filesystem', filesystem }] } };
    const ref = { namespace: 'doomed', name: 'r' };
    await answer(plane.kube.patch(runs, ref, { type: 'merge', body }, { subresource: 'status' }));
    await answer(plane.kube.delete(namespaces, { namespace: '', name: 'doomed' }));
    const { resourceVersion } = await answer(plane.kube.list(namespaces, {}));
    if (await exists(namespaces, '', 'doomed'))
      await firstValueFrom(
        plane.kube.watch(namespaces, {}, { resourceVersion, timeoutSeconds: 60, idleMs: 60_000 }).pipe(
          filter((frame) => E.isRight(frame) && frame.right.type === 'DELETED'),
          timeout({ first: 60_000 }),
        ),
      );
    expect(await exists(namespaces, '', 'doomed')).to.equal(false);
  });
});
