/**
 * Requests that the kubelet answers: logs and port-forward. A Node's annotation names the kubelet's unix socket:
 * `GET /containerLogs/<namespace>/<pod>/<container>?<query>` streams a log; `GET /portForward/<namespace>/<pod>/<port>`
 * with `Upgrade: tcp` turns into raw bytes after 101.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { request as httpRequest } from 'node:http';
import type { Duplex } from 'node:stream';

import { ApiError, badRequest, internalError } from '../errors.js';
import { arrayOf, objectOf, textOf } from '../json.js';
import type { KubeObject } from '../object.js';
import type { Call } from '../verbs/call.js';
import { currentOf } from '../verbs/update.js';

/** Annotation of a Node with the path of its kubelet's socket. */
export const socketAnnotation = 'kruntimes.io/kubelet-socket';

const containerNames = (pod: KubeObject): string[] => {
  const spec = objectOf(pod.spec);
  return [...arrayOf(spec.containers), ...arrayOf(spec.initContainers)].map((container) =>
    textOf(objectOf(container).name),
  );
};

/** Socket of the kubelet that runs a Pod. Throws when nobody runs it or the node does not say where. */
const kubeletSocket = (call: Call, pod: KubeObject): string => {
  const node = textOf(objectOf(pod.spec).nodeName);
  if (node === '') throw badRequest(`pod ${pod.metadata.name ?? ''} does not have a host assigned`);
  const socket = call.backend.store.get('/nodes', undefined, node)?.object.metadata.annotations?.[
    socketAnnotation
  ];
  if (socket === undefined)
    throw internalError(
      `node ${node} does not say where its kubelet listens (annotation ${socketAnnotation})`,
    );
  return socket;
};

const chosenContainer = (pod: KubeObject, wanted: string): string => {
  const names = containerNames(pod);
  const name = pod.metadata.name ?? '';
  if (wanted !== '') {
    if (!names.includes(wanted)) throw badRequest(`container ${wanted} is not valid for pod ${name}`);
    return wanted;
  }
  const [only, ...more] = arrayOf(objectOf(pod.spec).containers).map((container) =>
    textOf(objectOf(container).name),
  );
  if (more.length > 0)
    throw badRequest(
      `a container name must be specified for pod ${name}, choose one of: [${names.join(' ')}]`,
    );
  return only ?? '';
};

const logOptions = [
  'follow',
  'previous',
  'sinceSeconds',
  'sinceTime',
  'timestamps',
  'tailLines',
  'limitBytes',
];

/** GET pods/NAME/log: the kubelet's answer is passed on as it comes. */
export const proxyLog = (call: Call, request: IncomingMessage, response: ServerResponse): void => {
  const pod = currentOf(call).object;
  const container = chosenContainer(pod, call.query.get('container') ?? '');
  const socketPath = kubeletSocket(call, pod);
  const query = new URLSearchParams();
  for (const option of logOptions) {
    const value = call.query.get(option);
    if (value !== null) query.set(option, value);
  }
  const path = `/containerLogs/${encodeURIComponent(pod.metadata.namespace ?? '')}/${encodeURIComponent(pod.metadata.name ?? '')}/${encodeURIComponent(container)}?${query.toString()}`;
  const upstream = httpRequest({ socketPath, path, method: 'GET' }, (answer) => {
    if ((answer.statusCode ?? 500) >= 400) {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('end', () =>
        sendError(
          response,
          new ApiError(
            answer.statusCode ?? 500,
            answer.statusCode === 404 ? 'NotFound' : 'BadRequest',
            Buffer.concat(chunks).toString().trim() || 'the kubelet could not read the log',
          ),
        ),
      );
      return;
    }
    response.writeHead(200, { 'content-type': 'text/plain', 'cache-control': 'no-cache, private' });
    response.flushHeaders();
    answer.pipe(response);
    answer.on('error', () => response.destroy());
  });
  upstream.on('error', (error) => {
    if (response.headersSent) response.destroy();
    else sendError(response, internalError(`the kubelet cannot be reached: ${error.message}`));
  });
  request.on('close', () => upstream.destroy());
  response.on('close', () => upstream.destroy());
  upstream.end();
};

const sendError = (response: ServerResponse, error: ApiError): void => {
  const body = Buffer.from(JSON.stringify(error.status()));
  response.writeHead(error.code, { 'content-type': 'application/json', 'content-length': body.length });
  response.end(body);
};

/** Opens a raw connection to a port of a Pod. Rejects when the kubelet refuses. */
export const dialPod = (call: Call, port: number): Promise<Duplex> => {
  const pod = currentOf(call).object;
  const socketPath = kubeletSocket(call, pod);
  return new Promise((resolve, reject) => {
    const upstream = httpRequest({
      socketPath,
      method: 'GET',
      path: `/portForward/${encodeURIComponent(pod.metadata.namespace ?? '')}/${encodeURIComponent(pod.metadata.name ?? '')}/${port}`,
      headers: { connection: 'Upgrade', upgrade: 'tcp' },
    });
    upstream.on('upgrade', (_answer, socket: Duplex, head: Buffer) => {
      if (head.length > 0) socket.unshift(head);
      resolve(socket);
    });
    upstream.on('response', (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('end', () =>
        reject(
          new Error(
            Buffer.concat(chunks).toString().trim() || `the kubelet answered ${answer.statusCode ?? 0}`,
          ),
        ),
      );
    });
    upstream.on('error', reject);
    upstream.end();
  });
};
