/** The border: what an Execute or Watch call may ask for. */
import { isLeft } from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';

import type { ExecuteRequest, WatchRequest } from '../../proto/gen/executor.js';
import { treeVariable } from './marker.js';

type Refused = Readonly<{ refused: string }>;

const text = (name: string, isGood: (value: string) => boolean): t.Type<string> =>
  new t.Type<string>(
    name,
    (value): value is string => typeof value === 'string' && isGood(value),
    (input, context) =>
      typeof input === 'string' && isGood(input) ? t.success(input) : t.failure(input, context, name),
    t.identity,
  );

const hasNul = (value: string): boolean => value.includes('\0');

const Id = text('must have 1 to 253 printable characters', (value) => /^[\x21-\x7e]{1,253}$/.test(value));
const Word = text('must not contain a NUL character', (value) => !hasNul(value));
const EnvName = text('has a name that is empty or contains = or NUL', (value) => /^[^=\0]+$/.test(value));
/** Not `t.record(EnvName, Word)`: that leaves out entries with a bad name instead of refusing them. */
const Environment = new t.Type<Readonly<Record<string, string>>>(
  'Environment',
  t.record(t.string, Word).is,
  (input, context) => {
    const decoded = t.record(t.string, Word).validate(input, context);
    if (isLeft(decoded)) return decoded;
    const badName = Object.keys(decoded.right).find((name) => !EnvName.is(name));
    return badName === undefined ? decoded : t.failure(input, context, EnvName.name);
  },
  t.identity,
);
const Entrypoint = text(
  'must be a relative path without a .. segment',
  (value) => !hasNul(value) && !value.startsWith('/') && !value.split('/').includes('..'),
);
const WholeNumber = new t.Type<number>(
  'must be a whole number, 0 or more',
  t.number.is,
  (input, context) =>
    typeof input === 'number' && Number.isSafeInteger(input) && input >= 0
      ? t.success(input)
      : t.failure(input, context, 'must be a whole number, 0 or more'),
  t.identity,
);

/** An Execute call that makes sense; whether its files exist is another question. */
export const ExecuteCommand = t.readonly(
  t.type({
    id: Id,
    args: t.readonlyArray(Word),
    env: Environment,
    timeoutSeconds: WholeNumber,
    workingDir: Word,
    entrypoint: Entrypoint,
  }),
);
export type ExecuteCommand = t.TypeOf<typeof ExecuteCommand>;

const Cursors = t.readonlyArray(
  t.readonly(t.type({ id: t.string, stdoutOffset: WholeNumber, stderrOffset: WholeNumber })),
);
export type Cursors = t.TypeOf<typeof Cursors>;

/** Field and rule of each fault; never the value, which may be a secret. */
const faults = (errors: t.Errors): string =>
  errors
    .map(({ context, message }) => {
      const path = context.map(({ key }) => key).filter((key) => key !== '');
      return `${path.join('.')} ${message ?? 'has the wrong type'}`;
    })
    .join('; ');

/** Decodes an Execute call. Our own variable is not the caller's to set and is left out. */
export const decodeExecute = (request: ExecuteRequest): ExecuteCommand | Refused => {
  const decoded = ExecuteCommand.decode(request);
  if (isLeft(decoded)) return { refused: faults(decoded.left) };
  const { [treeVariable]: _ours, ...env } = decoded.right.env;
  return { ...decoded.right, env };
};

/** Decodes the cursors of a Watch call. */
export const decodeCursors = ({ cursors }: WatchRequest): Cursors | Refused => {
  const decoded = Cursors.decode(cursors);
  return isLeft(decoded) ? { refused: faults(decoded.left) } : decoded.right;
};
