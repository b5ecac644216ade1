/** When does the API server that we have just started listen, and where? */
import { readFileSync, watch } from 'node:fs';
import { basename } from 'node:path';

import * as E from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';

import type { Folder } from './folder.js';

const ApiServer = t.type({ url: t.string, pid: t.number });

/** What the API server has written about itself; undefined when nothing readable is there. */
const writtenApiServer = (folder: Folder): t.TypeOf<typeof ApiServer> | undefined => {
  try {
    const decoded = ApiServer.decode(JSON.parse(readFileSync(folder.apiServer, 'utf8')));
    return E.isRight(decoded) ? decoded.right : undefined;
  } catch {
    return undefined;
  }
};

/** Resolves with the URL once the process `pid()` has written that it listens; event-driven. `signal` gives up. */
export const waitForApi = (
  folder: Folder,
  pid: () => number | undefined,
  signal: AbortSignal,
): Promise<string> =>
  new Promise((resolve, reject) => {
    const watcher = watch(folder.dataDir, (_event, name) => {
      if (name === null || name === basename(folder.apiServer)) look();
    });
    const finish = (end: () => void): void => {
      watcher.close();
      signal.removeEventListener('abort', onAbort);
      end();
    };
    const onAbort = (): void => finish(() => reject(signal.reason));
    const look = (): void => {
      const written = writtenApiServer(folder);
      if (written !== undefined && written.pid === pid()) finish(() => resolve(written.url));
    };
    signal.addEventListener('abort', onAbort);
    watcher.on('error', (error) => finish(() => reject(error)));
    look();
  });
