/**
 * What a restarted runtimed must know, one JSON file each: attempts that may have been sent to the Runtime Server,
 * and ends that the API has not taken yet. They hold no env value and no script: those are in the Run.
 *
 * An attempt's file is written before its workspace and its Execute. It is not replaced atomically on purpose: a torn
 * one can only belong to an attempt that was never executed, and is removed with its workspace. An end is written
 * beside and renamed, so that it is whole or not there.
 */
import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as E from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';
import { type Assignment, type AttemptRef, type EndEvent, idOf } from '../../decide/sidecar/attempt.js';
import { type Folders, placesOf } from '../../decide/sidecar/environment.js';
import { ArtifactStoreSettings } from '../../model/artifact-store.js';
import { RunUid } from '../../model/ids.js';
import { Amounts, ArtifactRef, FailureReason, LogRef, RunStatus } from '../../model/run.js';
import { Instant } from '../../model/time.js';
import type { AttemptFiles } from './attempt-files.js';

const Ref = t.type({ namespace: t.string, name: t.string, uid: RunUid, attempt: t.number });
const Policy = t.type({
  retry: t.type({ maxAttempts: t.number, backoffMs: t.number, reasons: t.array(t.string) }),
  cancelRequested: t.boolean,
});

const AttemptRecord = t.intersection([
  t.type({
    podUid: t.string,
    ref: Ref,
    runtime: t.string,
    requests: Amounts,
    policy: Policy,
    status: RunStatus,
  }),
  t.partial({ timeoutMs: t.number, commitSHA: t.string }),
]);
type AttemptRecord = t.TypeOf<typeof AttemptRecord>;

const Result = t.union([
  t.intersection([
    t.type({
      kind: t.literal('Succeeded'),
      exitCode: t.number,
      outputs: t.record(t.string, t.string),
      artifactRefs: t.array(ArtifactRef),
    }),
    t.partial({ artifactStore: ArtifactStoreSettings }),
  ]),
  t.intersection([
    t.type({ kind: t.literal('Failed'), reason: FailureReason, message: t.string }),
    t.partial({
      exitCode: t.number,
      artifactRefs: t.array(ArtifactRef),
      artifactStore: ArtifactStoreSettings,
    }),
  ]),
  t.intersection([
    t.type({ kind: t.literal('Cancelled'), message: t.string }),
    t.partial({ exitCode: t.number }),
  ]),
]);

const EndRecord = t.type({
  record: AttemptRecord,
  event: t.intersection([
    t.type({ kind: t.literal('AttemptEnded'), result: Result, at: Instant, chance: t.number }),
    t.partial({ startedAt: Instant, commitSHA: t.string, log: LogRef }),
  ]),
});
type EndRecord = t.TypeOf<typeof EndRecord>;

/** One attempt found on disk. */
export type Found = Readonly<{ assignment: Assignment; end?: EndEvent }>;

const recordOf = (podUid: string, assignment: Assignment): AttemptRecord => ({
  podUid,
  ref: { ...assignment.ref },
  runtime: assignment.runtime,
  requests: assignment.requests,
  policy: {
    retry: { ...assignment.policy.retry, reasons: [...assignment.policy.retry.reasons] },
    cancelRequested: assignment.policy.cancelRequested,
  },
  status: assignment.status,
  ...(assignment.timeoutMs === undefined ? {} : { timeoutMs: assignment.timeoutMs }),
  ...(assignment.commitSHA === undefined ? {} : { commitSHA: assignment.commitSHA }),
});

const assignmentFrom = ({ podUid: _pod, ...assignment }: AttemptRecord): Assignment => assignment;

const eventFrom = ({ event }: EndRecord): EndEvent | undefined => {
  const { result } = event;
  if (result.kind !== 'Failed') return { ...event, result };
  // A cancelled attempt has its own kind; the codec of reasons is wider than the result's.
  const { reason } = result;
  return reason === 'Cancelled' ? undefined : { ...event, result: { ...result, reason } };
};

/** For an attempt that is far from being executed: as good as torn, so that what is there of it is removed. */
export const reserveAttempt = (ref: AttemptRef, files: AttemptFiles): void => files.writeRecord(ref, '');

/** Before anything else of the attempt exists. */
export const recordAttempt = (podUid: string, assignment: Assignment, files: AttemptFiles): void =>
  files.writeRecord(assignment.ref, JSON.stringify(AttemptRecord.encode(recordOf(podUid, assignment))));

/** When the API did not take it at once. */
export const recordEnd = async (
  folders: Folders,
  podUid: string,
  assignment: Assignment,
  event: EndEvent,
): Promise<void> => {
  const { end } = placesOf(folders, assignment.ref);
  const { result } = event;
  const wire =
    result.kind === 'Succeeded'
      ? { ...result, outputs: { ...result.outputs }, artifactRefs: [...result.artifactRefs] }
      : result.kind === 'Failed'
        ? {
            kind: result.kind,
            reason: result.reason,
            message: result.message,
            ...(result.exitCode === undefined ? {} : { exitCode: result.exitCode }),
            ...(result.artifactRefs === undefined ? {} : { artifactRefs: [...result.artifactRefs] }),
            ...(result.artifactStore === undefined ? {} : { artifactStore: result.artifactStore }),
          }
        : result;
  const record: EndRecord = { record: recordOf(podUid, assignment), event: { ...event, result: wire } };
  await writeFile(`${end}.new`, JSON.stringify(EndRecord.encode(record)), { mode: 0o600 });
  await rename(`${end}.new`, end);
};

const readRecords = async <A>(
  folder: string,
  codec: t.Decoder<unknown, A>,
): Promise<ReadonlyArray<Readonly<{ id: string; record: A | undefined }>>> => {
  const names = await readdir(folder);
  return Promise.all(
    names.map(async (name) => {
      const path = join(folder, name);
      const id = name.replace(/\.json(\.new)?$/, '');
      if (!name.endsWith('.json')) {
        await rm(path, { force: true });
        return { id, record: undefined };
      }
      try {
        const decoded = codec.decode(JSON.parse(await readFile(path, 'utf8')));
        return { id, record: E.isRight(decoded) ? decoded.right : undefined };
      } catch {
        return { id, record: undefined };
      }
    }),
  );
};

/**
 * Everything of this pod on disk. Records of another pod (a state folder that outlived it) are left alone; torn ones
 * are returned as `torn`, by id, to be cleaned.
 */
export const findRecords = async (
  { state }: Folders,
  podUid: string,
): Promise<Readonly<{ found: ReadonlyArray<Found>; torn: ReadonlyArray<string> }>> => {
  const attempts = await readRecords(join(state, 'attempts'), AttemptRecord);
  const ends = await readRecords(join(state, 'ends'), EndRecord);
  const found = new Map<string, Found>();
  for (const { record } of attempts)
    if (record?.podUid === podUid) found.set(idOf(record.ref), { assignment: assignmentFrom(record) });
  for (const { record } of ends) {
    if (record?.record.podUid !== podUid) continue;
    const event = eventFrom(record);
    if (event) found.set(idOf(record.record.ref), { assignment: assignmentFrom(record.record), end: event });
  }
  const torn = attempts
    .filter(({ id, record }) => record === undefined && !found.has(id))
    .map(({ id }) => id);
  return { found: [...found.values()], torn };
};

/** The reference to clean by, of an attempt of which only the id is left. */
export const refFromId = (id: string): AttemptRef | undefined => {
  const dot = id.lastIndexOf('.');
  const [uid, attempt] = dot < 0 ? [id, 1] : [id.slice(0, dot), Number(id.slice(dot + 1))];
  return RunUid.is(uid) && !/^\.{1,2}$|[/\0]/.test(uid)
    ? { namespace: '', name: '', uid, attempt }
    : undefined;
};
