/**
 * `krt artifact download`: the artifacts of a Run into a folder, through the API server alone; those that the Run's
 * status refers to, or, with `--attempt`, what that attempt left, failed or not.
 */
import { setTimeout as pause } from 'node:timers/promises';

import { artifactKey } from '../../decide/artifacts/keys.js';
import { shownName } from '../../decide/artifacts/rules.js';
import { runs } from '../../model/resources.js';
import type { Run } from '../../model/run.js';
import { ReadRequest, ReadResponse } from '../../proto/gen/artifacts.js';
import { Failure, isRefusal, usage } from '../failure.js';
import { globalFlags } from '../global-flags.js';
import { countFlag, type Input, nameOf, textFlag } from '../input.js';
import type { Krt, OpenCluster, Verb } from '../krt.js';
import { progressLine } from '../run/progress-line.js';
import { readRun } from '../run/read-run.js';
import { formatBytes } from './bytes.js';
import { fetchArtifact, fileNames, type ReadFrom, type Wanted } from './fetch.js';
import { CallError, callPod, RUNTIMED_PORT } from './pod-call.js';
import { podsWithStore } from './pods.js';
import { storedEntries } from './stored.js';

const READ = '/kruntimes.artifacts.v1.Artifacts/Read';

export type DownloadOptions = Readonly<{
  name: string;
  /** Empty: all. */
  artifacts: ReadonlyArray<string>;
  directory: string;
  /** Undefined: what the Run's status refers to. */
  attempt: number | undefined;
}>;

/** Errors: Usage. */
export const parse = (input: Input): DownloadOptions => {
  const [name, ...artifacts] = input.operands;
  if (name === undefined) throw usage('the name of a run is missing', '`krt list` shows them');
  return {
    name: nameOf(name, 'run'),
    artifacts,
    directory: textFlag(input, 'directory') ?? '.',
    attempt: countFlag(input, 'attempt', '--attempt', 1),
  };
};

/** Those that are asked for. Errors: NotFound, naming what there is. */
export const wantedRefs = (
  refs: ReadonlyArray<Wanted>,
  { name, artifacts, attempt }: Pick<DownloadOptions, 'name' | 'artifacts' | 'attempt'>,
): ReadonlyArray<Wanted> => {
  const missing = artifacts.filter((wanted) => !refs.some((ref) => ref.name === wanted));
  if (missing.length > 0 || refs.length === 0)
    throw new Failure(
      'NotFound',
      `${attempt === undefined ? '' : `attempt ${attempt} of `}run ${name} has no artifact${missing.length > 0 ? ` ${missing.join(', ')}` : 's'}`,
      {
        hint: refs.length > 0 ? `it has ${refs.map((ref) => ref.name).join(', ')}` : undefined,
      },
    );
  return artifacts.length === 0 ? refs : refs.filter((ref) => artifacts.includes(ref.name));
};

/** gRPC codes. */
const NOT_FOUND = 5;
const FAILED_PRECONDITION = 9;
/** Tries of one pod without a byte between them. Pauses double: all together 13 s, longer than a restart takes. */
const MOST_TRIES = 7;
const FIRST_PAUSE_MS = 100;

type Source = Readonly<{ api: OpenCluster['api']; namespace: string; run: Run }>;

/** The artifact's bytes from the pods that may have its store, the next pod where one has not. */
const readFrom = (
  { api, namespace, run }: Source,
  pods: ReadonlyArray<string>,
  { name, location }: Wanted,
  attempt: number,
): ReadFrom =>
  async function* (fromByte) {
    let at = fromByte;
    let tries = 0;
    let trouble: unknown;
    for (let index = 0; index < pods.length; ) {
      const pod = pods[index] ?? '';
      try {
        const connection = await api.openPort({ namespace, name: pod }, RUNTIMED_PORT);
        const request = ReadRequest.encode({
          runUid: run.metadata.uid,
          attempt,
          name,
          fromByte: at,
        }).finish();
        for await (const message of callPod(connection, READ, request)) {
          const { data } = ReadResponse.decode(message);
          at += data.length;
          tries = 0;
          yield data;
        }
        return;
      } catch (cause) {
        trouble = cause;
        if (cause instanceof Failure && cause.kind === 'NoAccess' && isRefusal(cause)) throw cause;
        const isElsewhere =
          isRefusal(cause) ||
          (cause instanceof CallError && (cause.code === FAILED_PRECONDITION || cause.code === NOT_FOUND));
        if (isElsewhere || tries >= MOST_TRIES) {
          index += 1;
          tries = 0;
        } else {
          await pause(FIRST_PAUSE_MS * 2 ** tries);
          tries += 1;
        }
      }
    }
    const why = trouble instanceof Error ? trouble.message : 'no Runtime Pod runs in the namespace';
    throw new Failure(
      'Error',
      `artifact ${shownName(name)} cannot be fetched: ${why}; it is stored at ${location}`,
      {
        hint: 'it is read through any running Runtime Pod with that store; start one, or read the store itself. What has come is kept',
        cause: trouble,
      },
    );
  };

/** What there is to choose from: of the attempt that the status refers to its references, of another what the store has. */
const refsOf = async (
  { api, namespace, run }: Source,
  attempt: number | undefined,
): Promise<ReadonlyArray<Wanted>> => {
  const referred = run.status?.artifactRefs ?? [];
  if (attempt === undefined || (attempt === run.status?.attempt && referred.length > 0)) return referred;
  const { uid } = run.metadata;
  const entries = await storedEntries({ api, namespace }, run);
  return entries
    .filter((entry) => entry.attempt === attempt)
    .map(({ name, sizeBytes }) => ({
      name,
      sizeBytes,
      type: 'unknown',
      location: artifactKey({ namespace, uid, attempt }, name),
    }));
};

export const execute = async (
  options: DownloadOptions,
  { api, namespace, terminal }: OpenCluster & Pick<Krt, 'terminal'>,
): Promise<number> => {
  const run = readRun(await api.get(runs, { namespace, name: options.name }), options.name);
  const refs = wantedRefs(await refsOf({ api, namespace, run }, options.attempt), options);
  const files = refs.flatMap(fileNames);
  const twice = files.find((file, index) => files.indexOf(file) !== index);
  if (twice !== undefined)
    throw usage(
      `two artifacts would be written to ${twice}`,
      'name one of them, and use a folder (-d) for each',
    );
  const pods = await podsWithStore(api, namespace, run);
  const line = progressLine(terminal);
  for (const ref of refs) {
    const show = (bytes: number): void =>
      line.show(`${ref.name}: ${formatBytes(bytes)} of ${formatBytes(ref.sizeBytes ?? 0)}`);
    try {
      const attempt = options.attempt ?? run.status?.attempt ?? 1;
      const read = readFrom({ api, namespace, run }, pods, ref, attempt);
      const path = await fetchArtifact(ref, read, { directory: options.directory, onBytes: show });
      line.clear();
      terminal.out(`${path}\n`);
    } finally {
      line.clear();
    }
  }
  return 0;
};

export const download: Verb = async (input, krt) => {
  const options = parse(input);
  return execute(options, { ...(await krt.openCluster(globalFlags(input))), terminal: krt.terminal });
};
