/** The one line on a terminal that says how a Run stands while somebody waits for it. */
import { conditionOf } from '../../model/conditions.js';
import type { Run } from '../../model/run.js';
import type { Terminal } from '../krt.js';
import { width } from '../output/table.js';
import { phaseOf } from './read-run.js';

/** `hello Pending: 8/8 runs busy, 41 ahead`; `hello Running on bash-0 (attempt 2)`. */
export const progressText = (run: Run): string => {
  const phase = phaseOf(run);
  const { name } = run.metadata;
  const { attempt, assignedPod, conditions } = run.status ?? {};
  if (phase === 'Pending') {
    const scheduled = conditionOf(conditions, 'Scheduled');
    return scheduled?.status === 'False' && scheduled.message
      ? `${name} Pending: ${scheduled.message}`
      : `${name} Pending`;
  }
  const where = assignedPod ? ` on ${assignedPod}` : '';
  return `${name} ${phase}${where}${attempt !== undefined && attempt > 1 ? ` (attempt ${attempt})` : ''}`;
};

/** A line that can be rewritten; silent where stderr is no terminal. */
export type ProgressLine = Readonly<{ show: (text: string) => void; clear: () => void }>;

/** Columns of a terminal that does not say how many it has. */
const USUAL_COLUMNS = 80;

const shortened = (text: string, said: number): string => {
  const columns = said > 2 ? said : USUAL_COLUMNS;
  if (width(text) < columns) return text;
  let kept = text.slice(0, columns);
  while (width(kept) > columns - 2) kept = kept.slice(0, -1);
  return `${kept}…`;
};

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is to be kept off the terminal
const CONTROL = /[\x00-\x1f\x7f-\x9f]/g;

export const progressLine = (terminal: Terminal): ProgressLine => {
  if (!terminal.errIsTerminal) return { show: () => undefined, clear: () => undefined };
  let shown = '';
  const clear = (): void => {
    if (shown !== '') terminal.err('\r\u001b[K');
    shown = '';
  };
  return {
    clear,
    show: (text) => {
      const next = shortened(text.replace(CONTROL, ' '), terminal.columns());
      if (next === shown) return;
      clear();
      shown = next;
      terminal.err(terminal.color ? `\u001b[2m${next}\u001b[22m` : next);
    },
  };
};
