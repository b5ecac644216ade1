/** `krt describe` */
import { runs } from '../../model/resources.js';
import type { Run, RunSpec } from '../../model/run.js';
import { requests, retryPolicy } from '../../model/run.js';
import { formatDuration, formatMicros, type Micros, parseInstant } from '../../model/time.js';
import { formatBytes } from '../artifact/bytes.js';
import { usage } from '../failure.js';
import { globalFlags } from '../global-flags.js';
import { type Input, namesOf, textFlag } from '../input.js';
import type { Krt, OpenCluster, Verb } from '../krt.js';
import { formatAge } from '../output/age.js';
import { namedValues, section } from '../output/sections.js';
import { conditionsSection } from '../resource/conditions.js';
import { eventsSection } from '../resource/events.js';
import { failFor, settle } from '../resource/get.js';
import { phaseOf, readRun, reasonOf } from './read-run.js';

export type DescribeOptions = Readonly<{ names: ReadonlyArray<string> }>;

/** Errors: Usage. */
export const parse = (input: Input): DescribeOptions => {
  if (textFlag(input, 'output') !== undefined)
    throw usage('-o does not go with krt describe, which is for people', 'krt get takes -o');
  return { names: namesOf(input, 'run') };
};

/** Lines of a script that are shown. */
const SHOWN_LINES = 12;

const sourceText = ({ source }: RunSpec, ran: string | undefined): string | undefined => {
  if (source?.repoURL !== undefined) {
    const wanted = source.commitSHA ?? source.ref ?? '(no commit)';
    return `${source.repoURL} at ${wanted}${ran === undefined || ran === wanted ? '' : `, which was ${ran}`}`;
  }
  if (source?.inline === undefined) return undefined;
  const lines = source.inline.replace(/\n$/, '').split('\n');
  const shown = lines.slice(0, SHOWN_LINES).map((text) => `| ${text}`);
  const more = lines.length - shown.length;
  return [
    `inline, ${formatBytes(Buffer.byteLength(source.inline))}`,
    ...shown,
    ...(more > 0 ? [`(${more} more lines)`] : []),
  ].join('\n');
};

const pairs = (record: Readonly<Record<string, unknown>> | undefined, separator = '='): string =>
  Object.entries(record ?? {})
    .map(([key, value]) => `${key}${separator}${String(value)}`)
    .join('\n');

const retryText = (spec: RunSpec): string => {
  const { maxAttempts, backoffMs, reasons } = retryPolicy(spec);
  if (maxAttempts === 1) return 'none';
  const why = reasons.length === 0 ? '' : `, only for ${reasons.join(', ')}`;
  return `up to ${maxAttempts} attempts, first after ${formatDuration(backoffMs)}${why}`;
};

const between = (from: Micros | undefined, to: Micros | undefined): string | undefined =>
  from === undefined || to === undefined ? undefined : formatDuration(Math.max(0, to - from) / 1000);

/** How long each stage of the last attempt took. Creation is known to the second only, so that waits are rounded. */
export const stages = ({ metadata, status }: Run): ReadonlyArray<readonly [string, string]> => {
  const created = parseInstant(metadata.creationTimestamp);
  const { scheduledTime, startTime, completionTime, attempt = 1 } = status ?? {};
  const waited =
    created === undefined || scheduledTime === undefined || attempt > 1
      ? undefined
      : scheduledTime - created < 1_000_000
        ? 'under 1s'
        : `about ${formatDuration(Math.floor((scheduledTime - created) / 1_000_000) * 1000)}`;
  return (
    [
      ['created to scheduled', waited],
      ['scheduled to started', between(scheduledTime, startTime)],
      ['started to ended', between(startTime, completionTime)],
      ['scheduled to ended', between(scheduledTime, completionTime)],
    ] as const
  ).flatMap(([stage, took]) => (took === undefined ? [] : [[stage, took] as const]));
};

/** All about a Run but its Events. */
export const describeRun = (run: Run, nowMs: number): string => {
  const { metadata, spec, status } = run;
  const reason = reasonOf(run);
  const phase = phaseOf(run);
  return [
    namedValues([
      ['Name', metadata.name],
      ['Namespace', metadata.namespace],
      ['UID', metadata.uid],
      ['Labels', pairs(metadata.labels)],
      [
        'Created',
        `${metadata.creationTimestamp} (${formatAge(nowMs - Date.parse(metadata.creationTimestamp))} ago)`,
      ],
      ['Phase', reason === '' || reason === phase ? phase : `${phase} (${reason})`],
      ['Message', status?.message],
      ['Exit code', status?.exitCode?.toString()],
      ['Pod', status?.assignedPod],
      ['Attempt', status?.attempt?.toString()],
      ['Next attempt', status?.nextAttemptTime && formatMicros(status.nextAttemptTime)],
      ['Runtime', spec.runtime],
      ['Source', sourceText(spec, status?.source?.commitSHA)],
      ['Entrypoint', spec.entrypoint],
      ['Args', spec.args?.map((arg) => JSON.stringify(arg)).join(' ')],
      ['Env', pairs(spec.env)],
      ['Timeout', spec.timeout === undefined ? 'none' : formatDuration(spec.timeout)],
      ['Retries', retryText(spec)],
      ['Requests', pairs(requests(spec)).replaceAll('\n', ', ')],
      ['Cancellation', spec.cancelRequested ? 'requested' : undefined],
      [
        'Deleted after',
        spec.ttlSecondsAfterFinished === undefined
          ? undefined
          : `${spec.ttlSecondsAfterFinished}s from its end`,
      ],
    ]),
    section('Durations', ['STAGE', 'TOOK'], stages(run)),
    section('Outputs', ['KEY', 'VALUE'], Object.entries(status?.outputs ?? {})),
    section(
      'Artifacts',
      ['NAME', 'TYPE', 'SIZE', 'LOCATION'],
      (status?.artifactRefs ?? []).map(({ name, type, sizeBytes, location }) => [
        name,
        type,
        sizeBytes === undefined ? undefined : formatBytes(sizeBytes),
        location,
      ]),
    ),
    section(
      'Earlier attempts',
      ['ATTEMPT', 'POD', 'REASON', 'EXIT', 'STARTED', 'TOOK', 'MESSAGE'],
      (status?.attemptHistory ?? []).map((past) => [
        past.attempt,
        past.pod,
        past.reason,
        past.exitCode,
        past.startTime && formatMicros(past.startTime),
        between(past.startTime, past.completionTime),
        past.message || '-',
      ]),
    ),
    conditionsSection(status?.conditions, nowMs),
  ].join('');
};

export const execute = async (
  { names }: DescribeOptions,
  { api, namespace, terminal, nowMs }: OpenCluster & Pick<Krt, 'terminal' | 'nowMs'>,
): Promise<number> => {
  const { found, missing } = await settle(
    names.map(async (name) => {
      const run = readRun(await api.get(runs, { namespace, name }), name);
      const events = await eventsSection(api, { namespace, name, uid: run.metadata.uid }, nowMs());
      return describeRun(run, nowMs()) + events;
    }),
  );
  terminal.out(found.join('\n\n'));
  return failFor(missing, terminal);
};

export const describe: Verb = async (input, krt) => {
  const options = parse(input);
  return execute(options, { ...krt, ...(await krt.openCluster(globalFlags(input))) });
};
