/** Lines of a Run → stdout and stderr, byte for byte. */
import { formatBytes } from '../artifact/bytes.js';
import type { Terminal } from '../krt.js';
import type { LogLine } from './log-read.js';

const NEWLINE = Buffer.from('\n');

/** A printer; with `toErr` all goes to stderr. What was dropped is told on stderr. */
export const linePrinter =
  (terminal: Pick<Terminal, 'out' | 'err'>, toErr: boolean) =>
  ({ stream, bytes, isWhole, droppedBytes }: LogLine): void => {
    if (droppedBytes > 0) {
      terminal.err(`krt: ${formatBytes(droppedBytes)} of ${stream} were not kept\n`);
      return;
    }
    const write = stream === 'stderr' || toErr ? terminal.err : terminal.out;
    write(isWhole ? Buffer.concat([bytes, NEWLINE]) : bytes);
  };
