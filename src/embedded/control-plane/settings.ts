/** What a control plane keeps from start to start. */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';

import * as E from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';

import { writeFileAtomically } from '../kubelet/files.js';

export const Settings = t.partial({
  /** Port of the API server, so that kubeconfigs stay valid. */
  port: t.number,
  /** Port on which the operator takes runtimed's sessions, so that a restart changes no Pod. */
  sessionsPort: t.number,
  /** Whether the bash Runtime was put already; one that the user deleted stays deleted. */
  hasRuntimes: t.boolean,
});
export type Settings = Readonly<t.TypeOf<typeof Settings>>;

/** Settings of an earlier start; none when there was none or the file is damaged. */
export const readSettings = (path: string): Settings => {
  try {
    const decoded = Settings.decode(JSON.parse(readFileSync(path, 'utf8')));
    return E.isRight(decoded) ? decoded.right : {};
  } catch {
    return {};
  }
};

export const writeSettings = (path: string, settings: Settings): void =>
  writeFileAtomically(path, `${JSON.stringify(settings, undefined, 2)}\n`);

/** The port if it can be bound on the loopback interface; 0 asks for any free one. Undefined when it is taken. */
export const freePort = (port: number): Promise<number | undefined> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' ? address?.port : undefined));
    });
  });

/** Pauses in which a port of an earlier start is waited for, milliseconds: a killed process's sockets close late. */
const PATIENCE_MS = [20, 50, 100, 200];

/** The port of an earlier start, if there was one and it becomes free within moments; else any free one. */
export const keptOrFreePort = async (kept: number | undefined): Promise<number | undefined> => {
  if (kept === undefined) return freePort(0);
  for (const pauseMs of [0, ...PATIENCE_MS]) {
    if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
    const port = await freePort(kept);
    if (port !== undefined) return port;
  }
  return freePort(0);
};
