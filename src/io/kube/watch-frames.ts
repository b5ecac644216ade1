/** Bytes of a watch → frames. */
import * as E from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';

import type { EffectError } from '../../model/effect-error.js';
import type { WatchFrame } from '../../ports.js';
import { type Asked, frameError } from './status-error.js';

/** The API refuses objects far smaller than this; a longer line is no watch. */
const MAX_LINE_BYTES = 64 << 20;
const NEWLINE = 10;

const Frame = t.type({ type: t.string, object: t.UnknownRecord });
const Bookmark = t.type({ metadata: t.type({ resourceVersion: t.string }) });

/** Splits bytes into lines without their ends; returns false where a line grows out of bounds. */
export const lineSplitter = (onLine: (line: string) => void): ((chunk: Buffer) => boolean) => {
  let held: Buffer[] = [];
  let heldBytes = 0;
  return (chunk) => {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      if (heldBytes === 0) onLine(chunk.toString('utf8', start, end));
      else {
        onLine(Buffer.concat([...held, chunk.subarray(start, end)]).toString('utf8'));
        held = [];
        heldBytes = 0;
      }
      start = end + 1;
    }
    if (start < chunk.length) {
      held.push(start === 0 ? chunk : chunk.subarray(start));
      heldBytes += chunk.length - start;
    }
    return heldBytes <= MAX_LINE_BYTES;
  };
};

const notAWatch = (asked: Asked, why: string): EffectError => ({
  kind: 'Unavailable',
  message: `cannot ${asked.what}: the server sent ${why}`,
});

/** One line of a watch. An ERROR frame is a Left (`Gone` for code 410), as is what is no frame at all. */
export const decodeFrame = (asked: Asked, line: string): E.Either<EffectError, WatchFrame> => {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch {
    return E.left(notAWatch(asked, 'a line that is not JSON'));
  }
  const decoded = Frame.decode(parsed);
  if (E.isLeft(decoded)) return E.left(notAWatch(asked, 'JSON that is not a watch event'));
  const { type, object } = decoded.right;
  switch (type) {
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
      return E.right({ type, object });
    case 'BOOKMARK': {
      const bookmark = Bookmark.decode(object);
      return E.isRight(bookmark)
        ? E.right({ type, resourceVersion: bookmark.right.metadata.resourceVersion })
        : E.left(notAWatch(asked, 'a bookmark without a resourceVersion'));
    }
    case 'ERROR':
      return E.left(frameError(asked, object));
    default:
      return E.left(notAWatch(asked, 'a watch event of an unknown type'));
  }
};
