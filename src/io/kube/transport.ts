/**
 * HTTP to one API server: one request and its answer, or one long answer in pieces.
 *
 * node:https with kept connections: as fast per request as the best third-party client within a few microseconds, and
 * already part of node, so that krt starts in node's own time (an external one costs 60 ms).
 */
import * as http from 'node:http';
import * as https from 'node:https';

import * as E from 'fp-ts/lib/Either.js';
import { Observable } from 'rxjs';

import type { EffectError } from '../../model/effect-error.js';
import type { Effect } from '../../ports.js';
import { openAgents, probeSilence } from './agents.js';
import type { Cluster } from './cluster.js';
import { codeOf, connectionError, timeoutError } from './connection-error.js';

/** One request; `what` is the verb and object for messages. */
export type HttpRequest = Readonly<{
  what: string;
  method: string;
  /** Path with its query, below the server's own path. */
  path: string;
  headers?: Readonly<Record<string, string>>;
  body?: string | Uint8Array;
}>;

/** Any answer, whatever its status. */
export type HttpAnswer = Readonly<{
  status: number;
  headers: http.IncomingHttpHeaders;
  body: Buffer;
}>;

/** Ears for a long answer. Exactly one of `ended`, `refused` and `failed` is called, once, and nothing after it. */
type LongAnswer = Readonly<{
  /** A status of success. */
  opened: () => void;
  chunk: (bytes: Buffer) => void;
  ended: () => void;
  refused: (answer: HttpAnswer) => void;
  failed: (error: EffectError) => void;
}>;

/** Limits of a long answer, milliseconds. */
type LongLimits = Readonly<{
  headersMs: number /** Longest silence; absent: any. */;
  idleMs?: number;
}>;

export type Transport = Readonly<{
  /** One request; unsubscribing aborts it. `timeoutMs` counts from subscription to the answer's last byte. */
  exchange: (request: HttpRequest, timeoutMs: number) => Effect<HttpAnswer>;
  /** A long answer on a connection of its own; the function returned aborts it. */
  open: (request: HttpRequest, limits: LongLimits, answer: LongAnswer) => () => void;
  /** Headers with credentials, for whoever opens a connection himself. */
  headers: (own?: Readonly<Record<string, string>>) => Promise<Record<string, string>>;
  close: () => void;
}>;

const IDEMPOTENT = new Set(['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS']);
/** Refusals are short; more of one is cut. */
const MAX_REFUSAL_BYTES = 1 << 20;

const credentialError = (what: string, error: unknown): EffectError => ({
  kind: 'Unauthorized',
  message: `cannot ${what}: no credentials: ${error instanceof Error ? error.message : String(error)}`,
});

/** Collects an answer's body; calls back once with all of it, or with the error that cut it short. */
const readAll = (
  response: http.IncomingMessage,
  maxBytes: number,
  done: (error: Error | undefined, body: Buffer) => void,
): void => {
  const chunks: Buffer[] = [];
  let length = 0;
  response
    .on('data', (chunk: Buffer) => {
      if (length < maxBytes) chunks.push(chunk);
      length += chunk.length;
    })
    .once('end', () => {
      const [first] = chunks;
      done(undefined, chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks));
    })
    .once('error', (error) => done(error, Buffer.alloc(0)));
};

type Patience = Readonly<{ renew: () => void; end: () => void }>;

/**
 * Calls `over` when nothing was heard of a peer for `ms` milliseconds. What it sent while this process itself stood still
 * (starved, or stopped) is read first, in the turn that follows: it is no silence of the peer.
 */
const patience = (ms: number, over: () => void): Patience => {
  let reading: NodeJS.Immediate | undefined;
  const timer = setTimeout(() => {
    reading = setImmediate(over);
  }, ms);
  return {
    renew: () => {
      clearImmediate(reading);
      timer.refresh();
    },
    end: () => {
      clearTimeout(timer);
      clearImmediate(reading);
    },
  };
};

/** A transport to `cluster`; it opens no connection before the first request. */
export const openTransport = (cluster: Cluster, userAgent: string): Transport => {
  const { server } = cluster;
  const agents = openAgents(cluster);
  const { request: start } = server.protocol === 'https:' ? https : http;
  const prefix = server.pathname.replace(/\/$/, '');
  const target = {
    protocol: server.protocol,
    // node wants IPv6 addresses without the brackets of a URL.
    hostname: server.hostname.replace(/^\[|\]$/g, ''),
    port: server.port || (server.protocol === 'https:' ? 443 : 80),
  };

  const headers = async (own: Readonly<Record<string, string>> = {}): Promise<Record<string, string>> => ({
    accept: 'application/json',
    'user-agent': userAgent,
    ...(await cluster.headers()),
    ...own,
  });

  const send = (
    { method, path, body }: HttpRequest,
    withHeaders: Record<string, string>,
    agent: http.Agent,
  ): http.ClientRequest => {
    if (body !== undefined) withHeaders['content-length'] = String(Buffer.byteLength(body));
    const request = start({ ...target, agent, method, path: prefix + path, headers: withHeaders });
    request.once('response', ({ statusCode }) => {
      if (statusCode === 401) cluster.refused?.();
    });
    request.end(body);
    return request;
  };

  const exchange = (request: HttpRequest, timeoutMs: number): Effect<HttpAnswer> =>
    new Observable((subscriber) => {
      let current: http.ClientRequest | undefined;
      let over = false;
      const finish = (answer: E.Either<EffectError, HttpAnswer>): void => {
        if (over) return;
        over = true;
        limit.end();
        subscriber.next(answer);
        subscriber.complete();
      };
      const abort = (): void => {
        over = true;
        limit.end();
        current?.destroy();
      };
      const limit = patience(timeoutMs, () => {
        finish(E.left(timeoutError(server, request.what, timeoutMs)));
        abort();
        // A peer that went silent took its other connections with it, most likely.
        agents.dropIdle();
      });

      const attempt = (withHeaders: Record<string, string>, mayRepeat: boolean): void => {
        let answered = false;
        const sent = send(request, withHeaders, agents.requests);
        current = sent;
        sent
          .once('response', (response) => {
            answered = true;
            readAll(response, Number.POSITIVE_INFINITY, (error, body) =>
              finish(
                error === undefined
                  ? E.right({ status: response.statusCode ?? 0, headers: response.headers, body })
                  : E.left(connectionError(server, request.what, error)),
              ),
            );
          })
          .on('error', (error) => {
            if (over || answered) return;
            const closedUnderUs =
              sent.reusedSocket && (codeOf(error) === 'ECONNRESET' || codeOf(error) === 'EPIPE');
            if (closedUnderUs && mayRepeat) {
              agents.dropIdle();
              attempt(withHeaders, false);
            } else finish(E.left(connectionError(server, request.what, error)));
          });
      };
      headers(request.headers).then(
        (withHeaders) => {
          if (!over) attempt(withHeaders, IDEMPOTENT.has(request.method));
        },
        (error: unknown) => finish(E.left(credentialError(request.what, error))),
      );
      return () => {
        if (!over) abort();
      };
    });

  const open = (
    request: HttpRequest,
    { headersMs, idleMs }: LongLimits,
    answer: LongAnswer,
  ): (() => void) => {
    let current: http.ClientRequest | undefined;
    let over = false;
    const stop = (): boolean => {
      if (over) return false;
      over = true;
      limit.end();
      current?.destroy();
      return true;
    };
    const fail = (error: EffectError): void => {
      if (stop()) answer.failed(error);
    };
    let limit = patience(headersMs, () => fail(timeoutError(server, request.what, headersMs)));

    const listen = (response: http.IncomingMessage): void => {
      limit.end();
      probeSilence(response.socket);
      if (idleMs !== undefined)
        limit = patience(idleMs, () =>
          fail({
            kind: 'Timeout',
            message: `cannot ${request.what}: the API server at ${server.origin} was silent for ${idleMs / 1000} s`,
          }),
        );
      answer.opened();
      response
        .on('data', (chunk: Buffer) => {
          if (over) return;
          if (idleMs !== undefined) limit.renew();
          answer.chunk(chunk);
        })
        .once('end', () => {
          if (stop()) answer.ended();
        })
        .once('error', (error) => fail(connectionError(server, request.what, error)));
    };

    headers(request.headers).then(
      (withHeaders) => {
        if (over) return;
        current = send(request, withHeaders, agents.streams)
          .once('response', (response) => {
            const status = response.statusCode ?? 0;
            if (status === 200) return listen(response);
            readAll(response, MAX_REFUSAL_BYTES, (error, body) => {
              if (error !== undefined) fail(connectionError(server, request.what, error));
              else if (stop()) answer.refused({ status, headers: response.headers, body });
            });
          })
          .on('error', (error) => fail(connectionError(server, request.what, error)));
      },
      (error: unknown) => fail(credentialError(request.what, error)),
    );
    return () => {
      stop();
    };
  };

  return { exchange, open, headers, close: agents.close };
};
