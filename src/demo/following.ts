/** A command that goes on while the demo does something else: its lines can be waited for. */
import { filter, firstValueFrom, ReplaySubject } from 'rxjs';

import type { Ended } from './call.js';

/** A running command. */
export type Following = Readonly<{
  /** The first line of stdout that satisfies; rejects when the command ends without one. */
  line: (satisfies: (line: string) => boolean) => Promise<string>;
  ended: Promise<Ended>;
}>;

/** `start` is given the listener for lines. */
export const following = (start: (onLine: (line: string) => void) => Promise<Ended>): Following => {
  const lines = new ReplaySubject<string>();
  const ended = start((line) => lines.next(line));
  ended.then(
    ({ output }) => lines.error(new Error(`it ended too early and printed: ${output}`)),
    (error: unknown) => lines.error(error),
  );
  return { line: (satisfies) => firstValueFrom(lines.pipe(filter(satisfies))), ended };
};
