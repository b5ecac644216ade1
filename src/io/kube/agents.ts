/** Connections to one API server: how they are opened, kept and given up. */
import * as http from 'node:http';
import * as https from 'node:https';
import { isIP, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type ConnectionOptions, connect as tlsConnect } from 'node:tls';

import type { Cluster } from './cluster.js';

/** Kept connections at most: enough to saturate a client's core, few enough for a server with thousands of clients. */
const MAX_SOCKETS = 32;
/** An unused connection is closed after this time. */
const IDLE_MS = 55_000;
/** First probe of a silent connection; node's socket layer follows with one probe a second, ten times. */
const KEEPALIVE_MS = 15_000;

/** The agents of one client: one that keeps connections, one whose connections each serve one long answer. */
export type Agents = Readonly<{
  requests: http.Agent;
  streams: http.Agent;
  /** Drops kept connections that are not in use: after one died silently, its sisters are suspect. */
  dropIdle: () => void;
  close: () => void;
}>;

/** Trust and client certificate for opening a connection. */
const connectionOptions = (cluster: Cluster): ConnectionOptions => ({
  ...(cluster.ca === undefined ? {} : { ca: cluster.ca }),
  ...(cluster.clientCertificate === undefined ? {} : { cert: cluster.clientCertificate }),
  ...(cluster.clientKey === undefined ? {} : { key: cluster.clientKey }),
  ...(cluster.insecureSkipTlsVerify ? { rejectUnauthorized: false } : {}),
  ...(cluster.tlsServerName === undefined ? {} : { servername: cluster.tlsServerName }),
});

const defaultPort = (url: URL): string => url.port || (url.protocol === 'https:' ? '443' : '80');

/**
 * A connection to the API server through a proxy, by CONNECT. The proxy's user info becomes its basic credentials.
 * Calls back once.
 */
const throughProxy = (
  cluster: Cluster,
  proxy: URL,
  done: (error: Error | null, socket?: Duplex) => void,
): void => {
  const target = `${cluster.server.hostname}:${defaultPort(cluster.server)}`;
  const user = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  const options = {
    host: proxy.hostname,
    port: defaultPort(proxy),
    method: 'CONNECT',
    path: target,
    agent: false,
    headers: {
      host: target,
      ...(user === ':' ? {} : { 'proxy-authorization': `Basic ${Buffer.from(user).toString('base64')}` }),
    },
  };
  const request = proxy.protocol === 'https:' ? https.request(options) : http.request(options);
  request
    .once('connect', (answer, socket) => {
      if (answer.statusCode !== 200) {
        socket.destroy();
        done(new Error(`the proxy ${proxy.host} answered ${answer.statusCode} to CONNECT ${target}`));
      } else if (cluster.server.protocol === 'https:') {
        const host = cluster.server.hostname.replace(/^\[|\]$/g, '');
        const servername = cluster.tlsServerName ?? (isIP(host) === 0 ? host : undefined);
        done(
          null,
          tlsConnect({
            ...connectionOptions(cluster),
            socket,
            // What the certificate is checked for where no name may be asked for.
            host,
            ...(servername === undefined ? {} : { servername }),
          }),
        );
      } else done(null, socket);
    })
    .once('error', (error) => done(new Error(`the proxy ${proxy.host} failed: ${error.message}`)))
    .end();
};

/** An agent whose connections go through the cluster's proxy, where it has one, and are used once. */
const makeAgent = (cluster: Cluster, options: https.AgentOptions): http.Agent => {
  const { proxyUrl } = cluster;
  const agent =
    cluster.server.protocol === 'https:'
      ? new https.Agent({ ...options, ...connectionOptions(cluster) })
      : new http.Agent(options);
  if (proxyUrl !== undefined)
    agent.createConnection = (_options, callback) => {
      throughProxy(cluster, proxyUrl, (error, socket) => {
        // node's types want a socket even beside an error; its code looks at the error first.
        callback?.(error, socket as Duplex);
      });
      return undefined;
    };
  return agent;
};

/** An agent whose connections serve one long answer each. */
export const singleUseAgent = (cluster: Cluster): http.Agent => makeAgent(cluster, { keepAlive: false });

/** Opens nothing until a request needs it. */
export const openAgents = (cluster: Cluster): Agents => {
  // `timeout` ends idle connections alone; node takes a second off a server's shorter `Keep-Alive: timeout=N`, so that
  // no request is sent into a connection that is just being closed.
  const requests = makeAgent(cluster, {
    keepAlive: true,
    keepAliveMsecs: KEEPALIVE_MS,
    maxSockets: MAX_SOCKETS,
    timeout: IDLE_MS,
    scheduling: 'lifo',
  });
  const streams = singleUseAgent(cluster);
  return {
    requests,
    streams,
    dropIdle: () => {
      for (const sockets of Object.values(requests.freeSockets))
        for (const socket of sockets ?? []) socket.destroy();
    },
    close: () => {
      requests.destroy();
      streams.destroy();
    },
  };
};

/** TCP probes on a connection that may be silent for long. */
export const probeSilence = (socket: Socket): void => {
  socket.setKeepAlive(true, KEEPALIVE_MS);
};
