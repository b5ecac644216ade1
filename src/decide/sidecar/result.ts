/** How did the attempt end? From the process's end, what stopped it and what it left behind to the lifecycle's words. */

import type { ArtifactStoreSettings } from '../../model/artifact-store.js';
import type { ArtifactRef } from '../../model/run.js';
import { formatDuration } from '../../model/time.js';
import { type AttemptResult, boundedMessage } from '../lifecycle.js';
import type { ArtifactsCollected, Collected, Exit, StopCause } from './attempt.js';
import { signalName } from './signals.js';

/** What else the answer depends on. */
export type ResultFacts = Readonly<{
  /** Why the Runtime Server was told to end it, if it was. */
  stop: StopCause | undefined;
  timeoutMs: number | undefined;
  collected: Collected;
}>;

/** Milliseconds of the signal's grace are not ours to know; the message names what the Run's owner set. */
const timedOut = (timeoutMs: number | undefined): string =>
  timeoutMs === undefined ? 'timed out' : `timed out after ${formatDuration(timeoutMs)}`;

/**
 * `exit code 3` or `killed by signal 9 (SIGKILL)`, then why the Runtime Server killed it, if it did so for what the
 * process did, else the last line of stderr. At most 1,024 bytes.
 */
export const exitMessage = ({ code, signal, cause, errorMessage, lastStderr }: Exit): string => {
  const how = signal > 0 ? `killed by signal ${signal}${signalName(signal)}` : `exit code ${code}`;
  const why = cause === 'Exited' && errorMessage !== '' ? errorMessage : lastStderr;
  return boundedMessage(why === '' ? how : `${how}: ${why}`);
};

/** What a result says of artifacts. Those of a failed attempt are kept; that they could not be is not its failure. */
const keptOf = (
  artifacts: ArtifactsCollected | undefined,
): Readonly<{ artifactRefs?: ReadonlyArray<ArtifactRef>; artifactStore?: ArtifactStoreSettings }> => ({
  ...(artifacts?.kind === 'Stored' ? { artifactRefs: artifacts.refs } : {}),
  ...(artifacts?.store === undefined ? {} : { artifactStore: artifacts.store }),
});

/** Whether artifacts are to be stored: whoever cancelled the Run does not want them, nor to wait for them. */
export const wantsArtifacts = (
  exit: Exit,
  facts: Omit<ResultFacts, 'collected'>,
  cancelRequested: boolean,
): boolean => {
  const { kind } = resultOf(exit, { ...facts, collected: { kind: 'Outputs', outputs: {} } });
  return exit.cause !== 'NotStarted' && (kind === 'Succeeded' || (kind === 'Failed' && !cancelRequested));
};

/**
 * A process that a stop ended has the stop's result; one that had ended by itself before the stop reached it keeps
 * its own. Servers that do not say which (unary ones) are read so: after a stop, a failure is the stop's doing.
 * Outputs count only with exit code 0: those of a failed attempt are ignored.
 */
export const resultOf = (exit: Exit, { stop, timeoutMs, collected }: ResultFacts): AttemptResult => {
  const { code: exitCode } = exit;
  if (exit.cause === 'NotStarted')
    return {
      kind: 'Failed',
      reason: 'RuntimeExecute',
      message: boundedMessage(
        `could not be started: ${exit.errorMessage || 'the Runtime Server gives no reason'}`,
      ),
    };
  const stopped = exit.cause === 'Stopped' || (exit.cause === 'Unknown' && exitCode !== 0);
  if (exit.cause === 'TimedOut' || (stopped && stop === 'Timeout'))
    return {
      kind: 'Failed',
      reason: 'Timeout',
      message: timedOut(timeoutMs),
      exitCode,
      ...keptOf(collected.artifacts),
    };
  if (stopped && stop !== undefined)
    return { kind: 'Cancelled', message: `cancelled; ${exitMessage(exit)}`, exitCode };
  const { artifacts } = collected;
  if (exitCode !== 0)
    return {
      kind: 'Failed',
      reason: 'RuntimeError',
      message: exitMessage(exit),
      exitCode,
      ...keptOf(artifacts),
    };
  if (collected.kind === 'Bad')
    return {
      kind: 'Failed',
      reason: collected.reason,
      message: boundedMessage(collected.message),
      exitCode,
      ...keptOf(artifacts),
    };
  if (artifacts?.kind === 'Lost')
    return {
      kind: 'Failed',
      reason: artifacts.reason,
      message: boundedMessage(artifacts.message),
      exitCode,
      ...keptOf(artifacts),
    };
  return { kind: 'Succeeded', exitCode, outputs: collected.outputs, artifactRefs: [], ...keptOf(artifacts) };
};
