/** An execution as Status and List tell it: state, code and the kept output as text. */
import { EndCause, State, StatusResponse } from '../../proto/gen/executor.js';
import type { Execution } from './execution.js';
import type { KeptOutput } from './kept-output.js';

/** gRPC clients refuse answers above 4 MiB unless told otherwise; this leaves room for the rest of the message. */
export const textBudgetBytes = 3_500_000;

/** Most text of one stream, bytes of UTF-8, however few executions share the answer. */
const mostTextBytes = 2_097_152;

const firstBytes = (text: Buffer, count: number): string => text.subarray(0, count).toString();
const lastBytes = (text: Buffer, count: number): string =>
  text.subarray(Math.max(0, text.length - count)).toString();

/**
 * Kept output as text of at most about `maxBytes`: what is not UTF-8 becomes U+FFFD, and where bytes are missing a
 * line says how many.
 */
export const outputText = (kept: KeptOutput, maxBytes: number): string => {
  const { head, tail } = kept.pieces();
  // Decoded first: a byte that is not UTF-8 takes three bytes as U+FFFD.
  const before = Buffer.from(head.toString());
  const after = Buffer.from(tail.toString());
  if (kept.dropped === 0 && before.length + after.length <= maxBytes)
    return Buffer.concat([head, tail]).toString();
  if (kept.dropped === 0) {
    const whole = Buffer.from(Buffer.concat([head, tail]).toString());
    if (whole.length <= maxBytes) return whole.toString();
    const half = Math.floor(maxBytes / 2);
    return `${firstBytes(whole, half)}\n[... ${whole.length - 2 * half} bytes left out ...]\n${lastBytes(whole, half)}`;
  }
  const half = Math.floor(maxBytes / 2);
  const left = Math.max(0, before.length - half) + Math.max(0, after.length - half);
  const note = left > 0 ? `${kept.dropped} bytes dropped, ${left} left out` : `${kept.dropped} bytes dropped`;
  return `${firstBytes(before, half)}\n[... ${note} ...]\n${lastBytes(after, half)}`;
};

const messages: Readonly<Partial<Record<EndCause, string>>> = {
  [EndCause.END_CAUSE_CANCELLED]: 'cancelled',
  [EndCause.END_CAUSE_TIMEOUT]: 'ended by timeout_seconds',
};

/** @param textBytes what both streams together may take. */
export const report = (execution: Execution, textBytes = textBudgetBytes): StatusResponse => {
  const exited = execution.exited?.value;
  const perStream = Math.min(mostTextBytes, Math.floor(textBytes / 2));
  const isGood = exited?.cause === EndCause.END_CAUSE_EXITED && exited.code === 0;
  return StatusResponse.create({
    id: execution.id,
    state: exited === undefined ? State.STATE_RUNNING : isGood ? State.STATE_SUCCEEDED : State.STATE_FAILED,
    exitCode: exited?.code ?? 0,
    stdout: outputText(execution.stdout, perStream),
    stderr: outputText(execution.stderr, perStream),
    errorMessage: exited === undefined ? '' : exited.errorMessage || (messages[exited.cause] ?? ''),
  });
};
