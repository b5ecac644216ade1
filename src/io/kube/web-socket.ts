/** WebSockets through the API server, for port-forward. The library is loaded when the first one is opened. */
import * as E from 'fp-ts/lib/Either.js';
import { Observable } from 'rxjs';
import type { WebSocket } from 'ws';

import type { EffectError } from '../../model/effect-error.js';
import type { Effect } from '../../ports.js';
import { probeSilence, singleUseAgent } from './agents.js';
import type { Cluster } from './cluster.js';
import { connectionError, timeoutError } from './connection-error.js';
import { statusError } from './status-error.js';

const MAX_REFUSAL_BYTES = 1 << 20;

/** An open WebSocket to `path` that speaks one of `protocols`. */
export const openWebSocket = (
  cluster: Cluster,
  headers: (own?: Readonly<Record<string, string>>) => Promise<Record<string, string>>,
  path: string,
  protocols: ReadonlyArray<string>,
  timeoutMs: number,
): Effect<WebSocket> =>
  new Observable((subscriber) => {
    const { server } = cluster;
    const what = `open ${path.replace(/\?.*$/, '')}`;
    let socket: WebSocket | undefined;
    let over = false;
    const finish = (answer: E.Either<EffectError, WebSocket>): void => {
      if (over) return;
      over = true;
      clearTimeout(timer);
      if (E.isLeft(answer)) socket?.terminate();
      subscriber.next(answer);
      subscriber.complete();
    };
    const timer = setTimeout(() => finish(E.left(timeoutError(server, what, timeoutMs))), timeoutMs);

    const connect = async (): Promise<void> => {
      const [{ WebSocket: Socket }, withHeaders] = await Promise.all([
        import('ws'),
        headers({ accept: '*/*' }),
      ]);
      if (over) return;
      const prefix = `${server.protocol === 'https:' ? 'wss:' : 'ws:'}//${server.host}${server.pathname.replace(/\/$/, '')}`;
      const opened = new Socket(prefix + path, [...protocols], {
        agent: singleUseAgent(cluster),
        headers: withHeaders,
        // Tunnelled bytes are TLS or protobuf: compressing them only costs.
        perMessageDeflate: false,
      });
      socket = opened;
      opened
        .once('upgrade', (response) => probeSilence(response.socket))
        .once('open', () => finish(E.right(opened)))
        .on('error', (error) => finish(E.left(connectionError(server, what, error))))
        .once('unexpected-response', (_request, response) => {
          const chunks: Buffer[] = [];
          let length = 0;
          response
            .on('data', (chunk: Buffer) => {
              if (length < MAX_REFUSAL_BYTES) chunks.push(chunk);
              length += chunk.length;
            })
            .once('end', () => {
              const text = Buffer.concat(chunks).toString('utf8');
              finish(
                E.left(
                  statusError(
                    { what },
                    {
                      status: response.statusCode ?? 0,
                      body: parsed(text),
                      retryAfter: response.headers['retry-after'],
                    },
                  ),
                ),
              );
            })
            .once('error', (error) => finish(E.left(connectionError(server, what, error))));
        });
    };
    connect().catch((error: unknown) => finish(E.left(connectionError(server, what, error))));
    return () => {
      if (over) return;
      over = true;
      clearTimeout(timer);
      socket?.terminate();
    };
  });

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
};
