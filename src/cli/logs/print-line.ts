/** Lines of a Run → stdout and stderr, byte for byte. */
import { formatMicros, micros } from '../../model/time.js';
import { formatBytes } from '../artifact/bytes.js';
import type { Terminal } from '../krt.js';
import type { LogLine } from './log-read.js';

const NEWLINE = Buffer.from('\n');

export type PrintOptions = Readonly<{
  /** All goes to stderr. */
  toErr: boolean;
  /** Each line begins with when it was written. */
  timestamps: boolean;
}>;

/** A printer. What was dropped is told on stderr. */
export const linePrinter = (
  terminal: Pick<Terminal, 'out' | 'err'>,
  { toErr, timestamps }: PrintOptions,
): ((line: LogLine) => void) => {
  /** Streams in the middle of a line. */
  const open = new Set<string>();
  return ({ stream, timeMicros, bytes, isWhole, droppedBytes }) => {
    if (droppedBytes > 0) {
      terminal.err(`krt: ${formatBytes(droppedBytes)} of ${stream} were not kept\n`);
      return;
    }
    const write = stream === 'stderr' || toErr ? terminal.err : terminal.out;
    const isBegun = open.has(stream);
    if (isWhole) open.delete(stream);
    else open.add(stream);
    const time = timestamps && !isBegun ? [Buffer.from(`${formatMicros(micros(timeMicros))} `)] : [];
    write(Buffer.concat([...time, bytes, ...(isWhole ? [NEWLINE] : [])]));
  };
};
