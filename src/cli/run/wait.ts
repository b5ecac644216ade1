/** `krt wait` */

import { formatDuration } from '../../model/time.js';
import { Failure } from '../failure.js';
import { durationFlag, globalFlags } from '../global-flags.js';
import { formatFlag, type Input, namesOf } from '../input.js';
import type { Krt, OpenCluster, Verb } from '../krt.js';
import type { Format } from '../output/format.js';
import { checkFormat, formatObject, listOf } from '../output/print.js';
import { exitCodeOf } from './exit-code.js';
import { progressLine, progressText } from './progress-line.js';
import { phaseOf } from './read-run.js';
import { summaryOf } from './summary.js';
import { untilEnded } from './until-ended.js';

export type WaitOptions = Readonly<{
  names: ReadonlyArray<string>;
  format: Format;
  timeoutMs: number | undefined;
}>;

/** Errors: Usage. */
export const parse = (input: Input): WaitOptions => ({
  names: namesOf(input, 'run'),
  format: formatFlag(input),
  timeoutMs: durationFlag(input, 'timeout', '--timeout'),
});

/** Exits as the first Run that did not succeed, in the order of the names; 0 when all did. */
export const execute = async (
  { names, format, timeoutMs }: WaitOptions,
  { api, namespace, terminal }: OpenCluster & Pick<Krt, 'terminal'>,
): Promise<number> => {
  const progress = progressLine(terminal);
  const phases = new Map<string, string>();
  const { ended, stop } = untilEnded(
    names,
    { api, namespace },
    {
      seen: (run) => {
        phases.set(run.metadata.name, phaseOf(run));
        progress.show(progressText(run));
      },
      lost: (message) => progress.show(`${message}; trying again`),
    },
  );
  let timer: NodeJS.Timeout | undefined;
  const tooLong = new Promise<never>((_, reject) => {
    if (timeoutMs === undefined) return;
    timer = setTimeout(() => {
      const open = names.flatMap((name) => {
        const phase = phases.get(name) ?? 'unseen';
        return ['Succeeded', 'Failed', 'Timeout', 'Cancelled'].includes(phase) ? [] : [`${name} is ${phase}`];
      });
      reject(
        new Failure(
          'Error',
          `after ${formatDuration(timeoutMs)} not all Runs have ended: ${open.join(', ')}`,
          {
            hint: 'they go on; wait longer with --timeout',
          },
        ),
      );
    }, timeoutMs);
  });
  try {
    const all = await Promise.race([ended, tooLong]);
    progress.clear();
    const [only] = all;
    if (format.kind === 'table') for (const { run } of all) terminal.out(`${summaryOf(run)}\n`);
    else
      terminal.out(
        await formatObject(
          format,
          names.length === 1 ? only?.object : listOf(all.map(({ object }) => object)),
        ),
      );
    return all.map(({ run }) => exitCodeOf(run)).find((code) => code !== 0) ?? 0;
  } finally {
    clearTimeout(timer);
    progress.clear();
    stop();
  }
};

export const wait: Verb = async (input, krt) => {
  const options = parse(input);
  await checkFormat(options.format);
  return execute(options, { ...(await krt.openCluster(globalFlags(input))), terminal: krt.terminal });
};
