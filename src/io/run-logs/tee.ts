/** Output goes to the logs, all other news of the Runtime Server go on; an end takes the last line of stderr along. */
import { concatMap, EMPTY, type Observable, of } from 'rxjs';

import type { ServerEvent, ServerNews } from '../../decide/sidecar/server-event.js';
import type { RunLogs } from './run-logs.js';

export const teeOutput =
  (logs: RunLogs) =>
  (events$: Observable<ServerEvent>): Observable<ServerNews> =>
    events$.pipe(
      concatMap((event): Observable<ServerNews> => {
        if (event.kind === 'Output') {
          logs.output(event.id, event.stream, event.offset, event.data, event.at);
          return EMPTY;
        }
        if (event.kind !== 'Exited') return of(event);
        const lastStderr = logs.finish(event.id, event.exit.at);
        logs.close(event.id);
        return of({ ...event, exit: { ...event.exit, lastStderr } });
      }),
    );
