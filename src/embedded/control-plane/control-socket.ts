/**
 * How `krt status` and `krt down` talk to the supervisor: HTTP on a unix socket that only its owner reaches.
 * `GET /status` answers at once; `POST /stop` answers when everything has ended, and leaves its connection open so that
 * whoever asked sees by its end that the supervisor's process is gone, too.
 */
import { chmodSync, rmSync } from 'node:fs';
import { createServer, request, type Server, type ServerResponse } from 'node:http';
import { join } from 'node:path';

import * as E from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';

import { existingSocketFolder } from '../kubelet/socket-folder.js';

const Component = t.intersection([
  t.type({ name: t.string, restarts: t.number, healthy: t.boolean }),
  t.partial({ pid: t.number, /** It ends again and again. */ failing: t.boolean }),
]);

/** What the supervisor says about itself. */
export const SupervisorStatus = t.type({
  pid: t.number,
  url: t.string,
  /** RFC 3339. */
  since: t.string,
  version: t.string,
  components: t.array(Component),
});
export type SupervisorStatus = t.TypeOf<typeof SupervisorStatus>;
export type ComponentStatus = SupervisorStatus['components'][number];

/** The socket's name in the control plane's folder for sockets. */
export const CONTROL_SOCKET = 'control.sock';

export type ControlServer = Readonly<{ close: () => void }>;

/** Time between the end of a control plane and that of its control connections, milliseconds. */
const LINGER_MS = 500;

export const serveControl = async (
  path: string,
  status: () => Promise<SupervisorStatus>,
  stop: () => Promise<void>,
): Promise<ControlServer> => {
  const finish = (response: ServerResponse, code: number, body: unknown): void => {
    response.writeHead(code, { 'content-type': 'application/json', connection: 'close' });
    response.end(JSON.stringify(body));
  };
  const server: Server = createServer((call, response) => {
    const failed = (error: unknown): void =>
      finish(response, 500, { message: error instanceof Error ? error.message : String(error) });
    if (call.method === 'GET' && call.url === '/status')
      status().then((body) => finish(response, 200, body), failed);
    else if (call.method === 'POST' && call.url === '/stop')
      stop().then(() => {
        response.writeHead(200, { 'content-type': 'application/json' });
        response.write(JSON.stringify({ stopped: true }));
      }, failed);
    else finish(response, 404, { message: 'GET /status or POST /stop' });
  });
  rmSync(path, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  chmodSync(path, 0o600);
  return {
    close: () => {
      server.close();
      // A program that lives on after its control plane does not keep whoever asked for the stop waiting.
      setTimeout(() => server.closeAllConnections(), LINGER_MS).unref();
    },
  };
};

/** One call to the supervisor; undefined when none listens. Rejects when it does not answer in time. */
const call = (
  dataDir: string,
  method: string,
  path: string,
  limitMs: number,
): Promise<string | undefined> => {
  const folder = existingSocketFolder(dataDir);
  if (folder === undefined) return Promise.resolve(undefined);
  const socketPath = join(folder, CONTROL_SOCKET);
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, method, path, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      // Cut off by the end of the supervisor: what it had to say has been said.
      response.on('error', () => undefined);
      response.on('close', () => resolve(text));
    });
    asked.setTimeout(limitMs, () =>
      asked.destroy(new Error(`the control plane on ${dataDir} does not answer`)),
    );
    asked.on('error', (error) => {
      if ('code' in error && (error.code === 'ENOENT' || error.code === 'ECONNREFUSED')) resolve(undefined);
      else reject(error);
    });
    asked.end();
  });
};

/** The supervisor's own word; undefined when there is none. */
export const askStatus = async (dataDir: string, limitMs = 5000): Promise<SupervisorStatus | undefined> => {
  const text = await call(dataDir, 'GET', '/status', limitMs);
  if (text === undefined) return undefined;
  const decoded = SupervisorStatus.decode(JSON.parse(text));
  if (E.isLeft(decoded))
    throw new Error(`the control plane on ${dataDir} speaks another version; use its own krt`);
  return decoded.right;
};

/** Asks the supervisor to stop and waits until it has; false when there is none. */
export const askStop = async (dataDir: string, limitMs: number): Promise<boolean> =>
  (await call(dataDir, 'POST', '/stop', limitMs)) !== undefined;
