/** Paths that are no resources: health, version, discovery, OpenAPI. */
import type { IncomingMessage, ServerResponse } from 'node:http';

import { sendJson, sendObject } from '../request/respond.js';
import type { Backend } from '../verbs/call.js';
import {
  aggregated,
  aggregatedType,
  coreVersions,
  groupList,
  oneGroup,
  resourceList,
  serverVersion,
} from './discovery.js';
import { openApiIndex, openApiV2, openApiV3 } from './openapi.js';

const rootPaths = (backend: Backend): string[] => [
  '/api',
  '/api/v1',
  '/apis',
  ...backend.registry
    .all()
    .filter(({ group }) => group !== '')
    .flatMap(({ group, version }) => [`/apis/${group}`, `/apis/${group}/${version}`]),
  '/healthz',
  '/livez',
  '/openapi/v2',
  '/openapi/v3',
  '/readyz',
  '/version',
];

const wantsAggregated = (request: IncomingMessage): boolean =>
  /g=apidiscovery\.k8s\.io/.test(String(request.headers.accept ?? '')) &&
  /v=v2(?!beta)/.test(String(request.headers.accept ?? ''));

/** Answers a request for such a path; false when there is nothing at it. */
export const serveDiscovery = (
  backend: Backend,
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
): boolean => {
  const { registry } = backend;
  const send = (object: ReturnType<typeof resourceList>): boolean => {
    if (object === undefined) return false;
    sendObject(request, response, 200, object);
    return true;
  };
  if (/^\/(healthz|livez|readyz)(\/.*)?$/.test(path)) {
    sendJson(request, response, 200, Buffer.from('ok'), [], { 'content-type': 'text/plain; charset=utf-8' });
    return true;
  }
  const [, first = '', group = '', version = '', more] = path.replace(/\/$/, '').split('/');
  if (path === '/') return send({ paths: [...new Set(rootPaths(backend))].sort() });
  if (first === 'version' && group === '') return send(serverVersion);
  if ((first === 'api' || first === 'apis') && group === '') {
    if (wantsAggregated(request)) {
      sendJson(
        request,
        response,
        200,
        Buffer.from(JSON.stringify(aggregated(registry, first === 'api'))),
        [],
        { 'content-type': aggregatedType, vary: 'Accept' },
      );
      return true;
    }
    return send(first === 'api' ? coreVersions() : groupList(registry));
  }
  if (path === '/openapi/v2') return send(openApiV2(registry));
  if (path === '/openapi/v3') return send(openApiIndex(registry));
  const openApi = /^\/openapi\/v3\/(?:api\/([^/]+)|apis\/([^/]+)\/([^/]+))$/.exec(path);
  if (openApi !== null) return send(openApiV3(registry, openApi[2] ?? '', openApi[1] ?? openApi[3] ?? ''));
  if (first === 'api' && version === '') return send(resourceList(registry, '', group));
  if (first === 'apis' && more === undefined)
    return send(version === '' ? oneGroup(registry, group) : resourceList(registry, group, version));
  return false;
};
