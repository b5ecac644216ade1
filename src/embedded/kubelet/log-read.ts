/**
 * Reads a container's log for `kubectl logs`: tail, since, timestamps, a byte limit, and following without polling.
 * One block of the file is in memory at a time.
 */
import { type FileHandle, open } from 'node:fs/promises';

import type { LogFile } from './log-file.js';
import { parseEntry } from './log-lines.js';

export type LogOptions = Readonly<{
  tailLines?: number;
  /** Only entries at or after this instant, epoch milliseconds. */
  sinceMs?: number;
  timestamps: boolean;
  limitBytes?: number;
}>;

const BLOCK = 64 * 1024;
const NEWLINE = 0x0a;

const openIfThere = async (path: string): Promise<FileHandle | undefined> => {
  try {
    return await open(path, 'r');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
};

/** Where the last `lines` entries of a file begin, and how many it has if fewer. */
const tailStart = async (
  file: FileHandle,
  lines: number,
): Promise<Readonly<{ offset: number; found: number }>> => {
  const { size } = await file.stat();
  const block = Buffer.alloc(BLOCK);
  let found = 0;
  for (let end = size; end > 0; ) {
    const start = Math.max(end - BLOCK, 0);
    const { bytesRead } = await file.read(block, 0, end - start, start);
    for (let index = bytesRead - 1; index >= 0; index -= 1) {
      if (block[index] !== NEWLINE || start + index === size - 1) continue;
      found += 1;
      if (found === lines) return { offset: start + index + 1, found };
    }
    end = start;
  }
  return { offset: 0, found: size === 0 ? 0 : found + 1 };
};

/** Bytes of a file from `offset` to its present end. */
async function* blocks(file: FileHandle, offset: number): AsyncGenerator<Buffer> {
  for (let at = offset; ; ) {
    const block = Buffer.alloc(BLOCK);
    const { bytesRead } = await file.read(block, 0, BLOCK, at);
    if (bytesRead === 0) return;
    at += bytesRead;
    yield block.subarray(0, bytesRead);
  }
}

type Both = Readonly<{ current: FileHandle | undefined; rotated: FileHandle | undefined; rotations: number }>;

/** The file and the one that was put aside before it, as they are between two rotations. */
const openBoth = async (path: string, live: LogFile | undefined): Promise<Both> => {
  const rotations = live?.rotations ?? 0;
  const rotated = await openIfThere(`${path}.1`);
  const current = await openIfThere(path);
  if (live === undefined || live.rotations === rotations) return { current, rotated, rotations };
  await Promise.all([current?.close(), rotated?.close()]);
  return openBoth(path, live);
};

const isSame = async (a: FileHandle, b: FileHandle): Promise<boolean> =>
  (await a.stat()).ino === (await b.stat()).ino;

/** The file's bytes, then, if it is live, what is appended to it, across rotations, until the life ends. */
async function* bytesOf(
  path: string,
  live: LogFile | undefined,
  tailLines: number | undefined,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  let { current, rotated, rotations } = await openBoth(path, live);
  try {
    let offset = 0;
    let olderLines = tailLines;
    if (tailLines !== undefined && current !== undefined) {
      const start = tailLines === 0 ? undefined : await tailStart(current, tailLines);
      offset = start?.offset ?? (await current.stat()).size;
      olderLines = tailLines - Math.min(start?.found ?? 0, tailLines);
    }
    if (rotated !== undefined && olderLines !== 0) {
      const start = olderLines === undefined ? 0 : (await tailStart(rotated, olderLines)).offset;
      yield* blocks(rotated, start);
    }
    while (current !== undefined) {
      for await (const block of blocks(current, offset)) {
        offset += block.length;
        yield block;
      }
      if (live === undefined || signal.aborted) return;
      if (live.rotations !== rotations) {
        // Put aside, it will not grow any more: its last bytes first, then the newer file.
        for await (const block of blocks(current, offset)) {
          offset += block.length;
          yield block;
        }
        rotations = live.rotations;
        const next = await openIfThere(path);
        // A rotation while the file in hand was opened is noticed late: it is the newest already.
        if (next !== undefined && (await isSame(next, current))) await next.close();
        else {
          await current.close();
          current = next;
          offset = 0;
        }
        continue;
      }
      const { size } = await current.stat();
      if (size > offset) continue;
      if (live.hasEnded) return;
      await changeOf(live, size, current, rotations, signal);
    }
  } finally {
    await current?.close();
    await rotated?.close();
  }
}

/** Resolves when the log has changed since `size` was seen, or the reader has gone. */
const changeOf = async (
  live: LogFile,
  size: number,
  file: FileHandle,
  rotations: number,
  signal: AbortSignal,
): Promise<void> => {
  let forget: () => void = () => undefined;
  const changed = new Promise<void>((resolve) => {
    const unlisten = live.onChange(resolve);
    const onAbort = (): void => resolve();
    signal.addEventListener('abort', onAbort, { once: true });
    forget = () => {
      unlisten();
      signal.removeEventListener('abort', onAbort);
    };
  });
  try {
    // Listening first and looking again closes the gap between the last read and the listener.
    const { size: sizeNow } = await file.stat();
    if (sizeNow !== size || live.hasEnded || live.rotations !== rotations || signal.aborted) return;
    await changed;
  } finally {
    forget();
  }
};

/** Text of the log as kubectl shows it. `live` follows; the generator ends with the container's life or `signal`. */
export async function* readLog(
  path: string,
  live: LogFile | undefined,
  options: LogOptions,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  let left = options.limitBytes ?? Number.POSITIVE_INFINITY;
  let isLineStart = true;
  for await (const block of bytesOf(path, live, options.tailLines, signal)) {
    if (signal.aborted) return;
    const bytes = rest.length === 0 ? block : Buffer.concat([rest, block]);
    const out: Buffer[] = [];
    let from = 0;
    for (let newline = bytes.indexOf(NEWLINE); newline !== -1; newline = bytes.indexOf(NEWLINE, from)) {
      const entry = parseEntry(bytes.subarray(from, newline));
      from = newline + 1;
      if (entry === undefined) continue;
      if (options.sinceMs !== undefined && Date.parse(entry.time) < options.sinceMs) continue;
      if (options.timestamps && isLineStart) out.push(Buffer.from(`${entry.time} `));
      out.push(entry.text);
      if (entry.isWhole) out.push(Buffer.from('\n'));
      isLineStart = entry.isWhole;
    }
    rest = Buffer.from(bytes.subarray(from));
    const text = Buffer.concat(out);
    if (text.length >= left) {
      yield text.subarray(0, left);
      return;
    }
    left -= text.length;
    if (text.length > 0) yield text;
  }
}
