/**
 * The outputs file: KEY=VALUE lines to a map, with the contract's limits.
 *
 * The last line for a key wins; blank lines and lines that start with `#` are ignored; a line may end with CRLF; a
 * value may hold `=` and may be empty. Nothing is trimmed or unquoted. Messages name the line, never its value.
 */
import * as E from 'fp-ts/lib/Either.js';

/** Bounds of status.outputs (contract, api.md). */
export const MAX_OUTPUTS = 64;
export const MAX_KEY_BYTES = 128;
export const MAX_VALUE_BYTES = 8 * 1024;
/** Keys and values together. */
export const MAX_TOTAL_BYTES = 64 * 1024;
/** The file itself, with its comments and repeated keys: sixteen times what can be kept. Never read beyond. */
export const MAX_FILE_BYTES = 1024 * 1024;

/** What is wrong with the file. */
export type OutputsProblem = Readonly<{ reason: 'OutputsInvalid' | 'OutputsTooLarge'; message: string }>;

const problem = (reason: OutputsProblem['reason'], message: string): E.Either<OutputsProblem, never> =>
  E.left({ reason, message });

/** Also for a file that was not read because of its size. */
export const fileTooLarge: OutputsProblem = {
  reason: 'OutputsTooLarge',
  message: `$KRUNTIME_OUTPUTS is larger than ${MAX_FILE_BYTES} bytes; write bulk data to $KRUNTIME_ARTIFACTS_DIR`,
};

const decodeUtf8 = (bytes: Uint8Array): string | undefined => {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
};

/** Reads the whole file's bytes. */
export const parseOutputs = (
  bytes: Uint8Array,
): E.Either<OutputsProblem, Readonly<Record<string, string>>> => {
  if (bytes.length > MAX_FILE_BYTES) return E.left(fileTooLarge);
  const text = decodeUtf8(bytes);
  if (text === undefined) return problem('OutputsInvalid', '$KRUNTIME_OUTPUTS is not UTF-8');
  const outputs = new Map<string, string>();
  let number = 0;
  for (const raw of text.split('\n')) {
    number += 1;
    const line = raw.endsWith('\r') ? raw.slice(0, -1) : raw;
    if (line.trim() === '' || line.startsWith('#')) continue;
    const equals = line.indexOf('=');
    if (equals < 0)
      return problem('OutputsInvalid', `line ${number} of $KRUNTIME_OUTPUTS has no '='; write KEY=VALUE`);
    if (equals === 0)
      return problem('OutputsInvalid', `line ${number} of $KRUNTIME_OUTPUTS has no key before '='`);
    outputs.set(line.slice(0, equals), line.slice(equals + 1));
  }
  return withinLimits(outputs);
};

/** The limits hold for what is kept: a value that a later line replaced does not count. */
const withinLimits = (
  outputs: ReadonlyMap<string, string>,
): E.Either<OutputsProblem, Readonly<Record<string, string>>> => {
  if (outputs.size > MAX_OUTPUTS)
    return problem(
      'OutputsTooLarge',
      `$KRUNTIME_OUTPUTS has ${outputs.size} keys, at most ${MAX_OUTPUTS} are kept`,
    );
  let total = 0;
  for (const [key, value] of outputs) {
    const [keyBytes, valueBytes] = [Buffer.byteLength(key), Buffer.byteLength(value)];
    if (keyBytes > MAX_KEY_BYTES)
      return problem(
        'OutputsTooLarge',
        `a key of $KRUNTIME_OUTPUTS has ${keyBytes} bytes, at most ${MAX_KEY_BYTES}`,
      );
    if (valueBytes > MAX_VALUE_BYTES)
      return problem(
        'OutputsTooLarge',
        `the value of ${key} in $KRUNTIME_OUTPUTS has ${valueBytes} bytes, at most ${MAX_VALUE_BYTES}`,
      );
    total += keyBytes + valueBytes;
  }
  return total > MAX_TOTAL_BYTES
    ? problem(
        'OutputsTooLarge',
        `$KRUNTIME_OUTPUTS has ${total} bytes of keys and values, at most ${MAX_TOTAL_BYTES}`,
      )
    : // fromEntries defines own properties, so that a key named __proto__ is a key like any other.
      E.right(Object.fromEntries(outputs));
};
