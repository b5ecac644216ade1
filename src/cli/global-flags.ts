/** The flags that choose the cluster and bound its answers; apart from the others, for they load the duration codec. */
import { parseDuration } from '../model/time.js';
import { usage } from './failure.js';
import { type Input, isOn, textFlag } from './input.js';

/** Flags that every command takes. */
export type GlobalFlags = Readonly<{
  kubeconfig?: string | undefined;
  context?: string | undefined;
  namespace?: string | undefined;
  /** Limit of one request, milliseconds; 0 means none. */
  requestTimeoutMs?: number | undefined;
  verbose: boolean;
}>;

/** Milliseconds of a duration flag. Errors: Usage. */
export const durationFlag = (input: Input, name: string, flag: string): number | undefined => {
  const text = textFlag(input, name);
  if (text === undefined) return undefined;
  const parsed = parseDuration(text);
  if (parsed._tag === 'Left') throw usage(`${flag}: ${parsed.left}`);
  return parsed.right;
};

/** The flags that choose the cluster. Errors: Usage. */
export const globalFlags = (input: Input): GlobalFlags => {
  const namespace = textFlag(input, 'namespace');
  if (namespace === '') throw usage('-n needs the name of a namespace');
  const timeout = textFlag(input, 'requestTimeout');
  return {
    kubeconfig: textFlag(input, 'kubeconfig'),
    context: textFlag(input, 'context'),
    namespace,
    // kubectl's 0 means no limit.
    requestTimeoutMs: timeout === '0' ? 0 : durationFlag(input, 'requestTimeout', '--request-timeout'),
    verbose: isOn(input, 'verbose'),
  };
};
