/**
 * Attends a Run that was just created: shows how it stands, streams its logs if wanted, asks for its cancellation at
 * the first Ctrl-C, leaves at the second, and ends as the Run does.
 */
import { runs } from '../../model/resources.js';
import { Failure } from '../failure.js';
import type { Krt, OpenCluster } from '../krt.js';
import type { LogFollower } from '../logs/follow.js';
import type { Format } from '../output/format.js';
import { formatObject, type ObjectFormat } from '../output/print.js';
import { exitCodeOf } from './exit-code.js';
import { INTERRUPTED } from './interrupts.js';
import { progressLine, progressText } from './progress-line.js';
import { colored, summaryOf } from './summary.js';
import { untilEnded } from './until-ended.js';

export type AttendDeps = OpenCluster &
  Pick<Krt, 'terminal' | 'onInterrupt'> &
  Readonly<{ follower: LogFollower | undefined }>;

const objectFormat = (format: Format): ObjectFormat | undefined =>
  format.kind === 'table' ? undefined : format;

export const attend = async (
  name: string,
  format: Format,
  { api, namespace, terminal, onInterrupt, follower }: AttendDeps,
): Promise<number> => {
  const progress = progressLine(terminal);
  const said = (text: string): void => {
    progress.clear();
    terminal.err(text);
  };
  const { ended, stop } = untilEnded(
    [name],
    { api, namespace },
    {
      seen: (run) => {
        // Once the script's own output may appear on the terminal, no line of ours is written into it.
        if (follower && run.status?.phase === 'Running') progress.clear();
        else progress.show(progressText(run));
        follower?.seen(run);
      },
      lost: (message) => progress.show(`${message}; trying again`),
    },
  );

  let interrupts = 0;
  const left = new Promise<never>((_, reject) => {
    const off = onInterrupt(() => {
      interrupts += 1;
      if (interrupts > 1) {
        said(`krt: left; run ${namespace}/${name} goes on until it is cancelled\n`);
        reject(new Failure('Ended', '', { exitCode: INTERRUPTED }));
        return;
      }
      said(`krt: asking for the cancellation of run ${namespace}/${name}; Ctrl-C again leaves\n`);
      api
        .patch(runs, { namespace, name }, { type: 'merge', body: { spec: { cancelRequested: true } } })
        .catch((error: unknown) => said(`krt: ${error instanceof Error ? error.message : String(error)}\n`));
    });
    ended.then(off, off);
  });

  try {
    const [last] = await Promise.race([ended, left]);
    await Promise.race([follower?.drained(), left]);
    progress.clear();
    if (!last) throw new Failure('Error', `run ${namespace}/${name} ended unseen`);
    terminal.err(`${colored(last.run, summaryOf(last.run), terminal)}\n`);
    const form = objectFormat(format);
    if (form) terminal.out(await formatObject(form, last.object));
    return exitCodeOf(last.run);
  } finally {
    progress.clear();
    follower?.stop();
    stop();
  }
};
