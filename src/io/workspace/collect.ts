/**
 * What did the attempt leave behind in its outputs file? Read within bounds. Artifacts: `src/io/artifacts`.
 *
 * What keeps the pod from reading is not the Run's doing: it is read again, for a while.
 */
import { closeSync, constants, fstatSync, lstatSync, openSync, readSync } from 'node:fs';
import * as E from 'fp-ts/lib/Either.js';

import type { AttemptRef, Collected } from '../../decide/sidecar/attempt.js';
import { type Folders, ownSteps } from '../../decide/sidecar/environment.js';
import {
  fileTooLarge,
  MAX_FILE_BYTES,
  type OutputsProblem,
  parseOutputs,
} from '../../decide/sidecar/outputs.js';
import { errorCode } from '../error-code.js';
import { isPodTrouble, throughTrouble } from '../pod-trouble.js';
import { HeldFolder } from './held-folder.js';

/** The file's name in its folder. */
const OUTPUTS = 'outputs';

const invalid = (message: string): E.Either<OutputsProblem, never> =>
  E.left({ reason: 'OutputsInvalid', message });

/**
 * Reads a file of a folder that is held open; undefined: there is no such file. O_NONBLOCK, so that a FIFO put in its
 * place cannot hold us. Synchronous: the file is small or refused, and mostly there is none.
 */
const readOutputs = (
  path: string,
): E.Either<OutputsProblem, Readonly<Record<string, string>>> | undefined => {
  let fd: number;
  try {
    if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return undefined;
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (cause) {
    if (isPodTrouble(cause)) throw cause;
    const code = errorCode(cause);
    if (code === 'ENOENT') return undefined;
    return invalid(
      code === 'ELOOP' ? '$KRUNTIME_OUTPUTS is a symbolic link' : `$KRUNTIME_OUTPUTS cannot be read: ${code}`,
    );
  }
  try {
    const facts = fstatSync(fd);
    if (!facts.isFile()) return invalid('$KRUNTIME_OUTPUTS is not a regular file');
    if (facts.size > MAX_FILE_BYTES) return E.left(fileTooLarge);
    // One byte more than its size, so that a file that grows meanwhile is seen as larger than the limit at worst.
    const buffer = Buffer.alloc(facts.size + 1);
    let length = 0;
    for (let read = -1; read !== 0 && length < buffer.length; length += read)
      read = readSync(fd, buffer, length, buffer.length - length, length);
    return parseOutputs(buffer.subarray(0, length));
  } catch (cause) {
    if (isPodTrouble(cause)) throw cause;
    return invalid(`$KRUNTIME_OUTPUTS cannot be read: ${errorCode(cause)}`);
  } finally {
    closeSync(fd);
  }
};

/** Whoever put a link into the place of a folder above the file left no outputs. */
const readOwnOutputs = ({ work }: Folders, ref: AttemptRef): ReturnType<typeof readOutputs> => {
  try {
    return HeldFolder.within(work, ownSteps(ref), (own) => readOutputs(own.at(OUTPUTS)));
  } catch (cause) {
    if (isPodTrouble(cause)) throw cause;
    const code = errorCode(cause);
    if (code === 'ENOENT') return undefined;
    return invalid(
      `$KRUNTIME_OUTPUTS cannot be read: ${code === 'ELOOP' || code === 'ENOTDIR' ? 'its folder was replaced' : code}`,
    );
  }
};

/** Never rejects. */
export const collectOutputs = async (
  folders: Folders,
  ref: AttemptRef,
  patienceMs?: number,
): Promise<Collected> => {
  const outputs = await throughTrouble(() => readOwnOutputs(folders, ref), patienceMs).catch(
    (cause: unknown) => invalid(`$KRUNTIME_OUTPUTS cannot be read: ${errorCode(cause)}`),
  );
  if (outputs !== undefined && E.isLeft(outputs)) return { kind: 'Bad', ...outputs.left };
  return { kind: 'Outputs', outputs: outputs?.right ?? {} };
};
