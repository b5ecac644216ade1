/**
 * The embedded Kubernetes API server: a durable store, the resources kruntimes needs with Kubernetes' semantics, and
 * HTTPS with bearer tokens on loopback.
 */
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import type Logger from 'bunyan';
import bunyan from 'bunyan';

import { authenticateToken } from './auth/authenticate.js';
import { loadPki } from './auth/pki.js';
import { ServiceAccountTokens } from './auth/service-account-tokens.js';
import type { StaticTokens } from './auth/static-tokens.js';
import { loadStaticTokens } from './auth/static-tokens.js';
import { bootstrap, ownCall, packagedCrds } from './bootstrap/bootstrap.js';
import { serveCrds } from './controllers/crds.js';
import { expireEvents } from './controllers/event-expiry.js';
import { collectGarbage } from './controllers/garbage.js';
import type { DeleteStored } from './controllers/namespaces.js';
import { keepNamespaces } from './controllers/namespaces.js';
import { builtinResourceTypes } from './resources/builtins.js';
import { Registry } from './resources/registry.js';
import { Router } from './router.js';
import { Store } from './store/store.js';
import type { Backend } from './verbs/call.js';
import { deleteObject, deleteOptionsOf } from './verbs/delete.js';

/** Options of an API server. */
export type ApiServerOptions = Readonly<{
  /** Folder of the store, keys and tokens; made when absent. */
  dataDir: string;
  /** Port to listen on; 0 (the default) takes a free one. */
  port?: number;
  /** Address to listen on; 127.0.0.1 by default. */
  host?: string;
  /** Folder of the CRDs to install; the package's own by default. */
  crds?: string;
  log?: Logger;
  /** Called when the disk failed in a way that leaves the state unknown: the process has to end. */
  onFatal?: (error: Error) => void;
  /** Longest time for a request to arrive as a whole, milliseconds; 60 s by default. */
  requestTimeoutMs?: number;
  /** The time, epoch milliseconds. */
  nowMs?: () => number;
  /** How long changes are kept for watches that begin in the past, milliseconds; five minutes by default. */
  historyMs?: number | undefined;
}>;

/** A running API server. */
export type ApiServer = Readonly<{
  url: string;
  /** Token of the user kruntimes-admin, who may do everything. */
  adminToken: string;
  tokens: StaticTokens;
  caPem: string;
  /** Ends all requests and watches, writes what is queued, and gives the folder back. */
  close: () => Promise<void>;
}>;

/** Starts an API server; resolves when it answers. Rejects when the folder or the port is taken. */
export const startApiServer = async (options: ApiServerOptions): Promise<ApiServer> => {
  const { dataDir, port = 0, host = '127.0.0.1' } = options;
  const log = options.log ?? bunyan.createLogger({ name: 'apiserver', level: bunyan.FATAL });
  const nowMs = options.nowMs ?? Date.now;
  const requestTimeoutMs = options.requestTimeoutMs ?? 60_000;
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const store = await Store.open({
    folder: join(dataDir, 'store'),
    nowMs,
    historyMs: options.historyMs,
    ...(options.onFatal === undefined ? {} : { onFatal: options.onFatal }),
  });
  const stops: (() => void)[] = [];
  try {
    const pki = await loadPki(dataDir);
    const tokens = loadStaticTokens(dataDir);
    const accounts = new ServiceAccountTokens(pki.serviceAccountKeyPem);
    const registry = new Registry(builtinResourceTypes);
    const backend: Backend = { store, registry, nowMs };
    const deleteStored: DeleteStored = (storage, object) => {
      const type = registry.ofStorage(storage);
      if (type === undefined) return;
      const call = ownCall(
        backend,
        type,
        object.metadata.namespace ?? '',
        object.metadata.name ?? '',
        'delete',
      );
      deleteObject(call, deleteOptionsOf({}, call.query));
    };
    stops.push(serveCrds(store, registry, nowMs));
    stops.push(keepNamespaces(store, registry, pki.caPem, nowMs, deleteStored));
    stops.push(collectGarbage(store, registry, deleteStored));
    stops.push(expireEvents(store, nowMs));
    bootstrap(backend, options.crds ?? packagedCrds());
    await store.durable();

    const authenticate = (token: string): ReturnType<typeof authenticateToken> =>
      authenticateToken(tokens, accounts, store, nowMs(), token);
    const router = new Router({ backend, accounts, authenticate, log });
    const server = createServer({
      cert: pki.certPem,
      key: pki.keyPem,
      ALPNProtocols: ['http/1.1'],
      keepAliveTimeout: 120_000,
      requestTimeout: requestTimeoutMs,
      headersTimeout: requestTimeoutMs,
      connectionsCheckingInterval: Math.min(30_000, requestTimeoutMs / 2),
    });
    server.on('request', (request, response) => void router.handle(request, response));
    // Connections that switched protocols are no longer the HTTP server's to close.
    const sockets = new Set<Socket>();
    server.on('connection', (socket: Socket) => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
    });
    server.on('upgrade', (request, socket, head) => router.handleUpgrade(request, socket, head));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, () => {
        server.off('error', reject);
        resolve();
      });
    });
    const address = server.address() as AddressInfo;
    const url = `https://${host.includes(':') ? `[${host}]` : host}:${address.port}`;
    const close = async (): Promise<void> => {
      for (const stop of stops) stop();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
      await store.close();
    };
    log.info({ url, dataDir }, 'api server answers');
    return { url, adminToken: tokens.admin, tokens, caPem: pki.caPem, close };
  } catch (error) {
    for (const stop of stops) stop();
    await store.close();
    throw error;
  }
};

/** Writes `<dataDir>/apiserver.json`, for those who look for the server; whole or not at all. */
export const announce = (dataDir: string, url: string): void => {
  const file = join(dataDir, 'apiserver.json');
  writeFileSync(`${file}.tmp`, `${JSON.stringify({ url, pid: process.pid })}\n`, { mode: 0o600 });
  renameSync(`${file}.tmp`, file);
};
