/** The flags of `krt run` → the Run to create. */
import { GROUP, VERSION } from '../../model/resources.js';
import { usage } from '../failure.js';
import { durationFlag } from '../global-flags.js';
import { countFlag, type Input, isOn, listFlag, nameOf, textFlag } from '../input.js';

/** What is to be created; the runtime and the name may be left to be found. */
export type RunOrder = Readonly<{
  runtime: string | undefined;
  name: string | undefined;
  labels: Readonly<Record<string, string>>;
  /** Path of the script, `-` for stdin. */
  file: string | undefined;
  /** All of spec but `runtime` and `source.inline`. */
  spec: Readonly<Record<string, unknown>>;
}>;

/** `K=V` pairs of a repeatable flag; the last one of a key wins. Errors: Usage. */
const pairs = (input: Input, name: string, flag: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    listFlag(input, name).map((text) => {
      const equals = text.indexOf('=');
      if (equals <= 0) throw usage(`${flag} ${JSON.stringify(text)} is not of the form KEY=VALUE`);
      return [text.slice(0, equals), text.slice(equals + 1)];
    }),
  );

const amounts = (input: Input): Readonly<Record<string, number>> =>
  Object.fromEntries(
    Object.entries(pairs(input, 'request', '--request')).map(([key, text]) => {
      if (!/^\d+$/.test(text)) throw usage(`--request ${key}=${text} is not a whole number`);
      return [key, Number(text)];
    }),
  );

const isEmpty = (record: object): boolean => Object.values(record).every((value) => value === undefined);

/** `{key: value}`, or nothing for an undefined or empty value: what is not asked for is left to the API's defaults. */
const given = (key: string, value: unknown): Readonly<Record<string, unknown>> =>
  value === undefined || (typeof value === 'object' && value !== null && isEmpty(value))
    ? {}
    : { [key]: value };

/** A duration as it was typed, once it is known to be one. */
const durationText = (input: Input, name: string, flag: string): string | undefined => {
  durationFlag(input, name, flag);
  return textFlag(input, name);
};

/** Errors: Usage. What the API itself checks (limits, forms of names) is left to it. */
export const parseOrder = (input: Input): RunOrder => {
  if (input.operandsBeforeDashes > 0)
    throw usage(
      `unexpected ${JSON.stringify(input.operands[0])}: the command of the Run stands after --`,
      `krt run -- ${input.operands.join(' ')}, or krt run -f FILE for a script`,
    );
  const file = textFlag(input, 'file');
  const repoURL = textFlag(input, 'repoUrl');
  const commitSHA = textFlag(input, 'commitSha');
  const ref = textFlag(input, 'ref');
  const entrypoint = textFlag(input, 'entrypoint');
  const args = input.operands;
  if (file !== undefined && repoURL !== undefined) throw usage('-f and --repo-url exclude each other');
  if (repoURL === undefined && (commitSHA !== undefined || ref !== undefined || isOn(input, 'submodules')))
    throw usage('--commit-sha, --ref and --submodules need --repo-url');
  if (repoURL !== undefined && (commitSHA === undefined) === (ref === undefined))
    throw usage('--repo-url needs one of --commit-sha and --ref');
  if (file === undefined && repoURL === undefined && entrypoint === undefined && args.length === 0)
    throw usage('nothing to run', "krt run -- 'echo hello', or krt run -f FILE");
  const runtime = textFlag(input, 'runtime');
  const name = textFlag(input, 'name');
  return {
    runtime: runtime === undefined ? undefined : nameOf(runtime, 'runtime'),
    name: name === undefined ? undefined : nameOf(name, 'run'),
    labels: pairs(input, 'label', '--label'),
    file,
    spec: {
      ...given('source', {
        ...given('repoURL', repoURL),
        ...given('commitSHA', commitSHA),
        ...given('ref', ref),
        ...(isOn(input, 'submodules') ? { submodules: true } : {}),
      }),
      ...given('entrypoint', entrypoint),
      ...(args.length > 0 ? { args: [...args] } : {}),
      ...given('env', pairs(input, 'env', '--env')),
      ...given('timeout', durationText(input, 'timeout', '--timeout')),
      ...given('retryPolicy', {
        ...given('maxAttempts', countFlag(input, 'retryAttempts', '--retry-attempts', 1)),
        ...given('backoff', durationText(input, 'retryBackoff', '--retry-backoff')),
        ...given('retryableReasons', listFlag(input, 'retryReason')),
      }),
      ...given('resources', given('requests', amounts(input))),
      ...given('ttlSecondsAfterFinished', countFlag(input, 'ttl', '--ttl')),
    },
  };
};

/** The object to create. */
export const runManifest = (
  order: RunOrder,
  found: Readonly<{ namespace: string; runtime: string; name: string; inline: string | undefined }>,
): unknown => ({
  apiVersion: `${GROUP}/${VERSION}`,
  kind: 'Run',
  metadata: { name: found.name, namespace: found.namespace, ...given('labels', order.labels) },
  spec: {
    runtime: found.runtime,
    ...order.spec,
    ...(found.inline === undefined ? {} : { source: { inline: found.inline } }),
  },
});
