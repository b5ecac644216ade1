/** The one line that says how a Run ended. */
import type { Run } from '../../model/run.js';
import { formatDuration } from '../../model/time.js';
import type { Terminal } from '../krt.js';
import { endOf, phaseOf, reasonOf } from './read-run.js';

/** Milliseconds that the last attempt executed. */
export const executedMs = ({ status }: Run): number | undefined =>
  status?.startTime === undefined || status.completionTime === undefined
    ? undefined
    : Math.max(0, status.completionTime - status.startTime) / 1000;

/** `run hello Succeeded in 1.2s`; `run hello Failed (RuntimeError) after 20ms: exit code 3`. */
export const summaryOf = (run: Run): string => {
  const phase = phaseOf(run);
  const ms = executedMs(run);
  const good = phase === 'Succeeded';
  const time = ms === undefined ? '' : ` ${good ? 'in' : 'after'} ${formatDuration(ms)}`;
  const attempt = run.status?.attempt ?? 1;
  const attempts = attempt > 1 ? ` (attempt ${attempt})` : '';
  const reason = reasonOf(run);
  const why = good || reason === '' || reason === phase ? '' : ` (${reason})`;
  const message = good ? '' : (run.status?.message ?? '').replace(/\s+/g, ' ').trim();
  return `run ${run.metadata.name} ${phase}${why}${time}${attempts}${message && `: ${message}`}`;
};

/** The same in the colour of its meaning, where colours are wanted. */
export const colored = (run: Run, text: string, terminal: Terminal): string => {
  if (!terminal.color || !terminal.errIsTerminal) return text;
  const code = endOf(run) === 'Succeeded' ? 32 : endOf(run) === 'Cancelled' ? 33 : 31;
  return `\u001b[${code}m${text}\u001b[39m`;
};
