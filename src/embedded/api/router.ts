/** Takes each request from its first line to its answer: who asks, may they, which verb, which form. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type Logger from 'bunyan';

import type { Authenticated } from './auth/authenticate.js';
import { apiUser, bearerToken } from './auth/authenticate.js';
import { impersonationOf } from './auth/impersonate.js';
import { mayDo, refusal } from './auth/rbac.js';
import { answerReview } from './auth/reviews.js';
import type { ServiceAccountTokens } from './auth/service-account-tokens.js';
import type { User } from './auth/user.js';
import { anonymous } from './auth/user.js';
import { serveDiscovery } from './discovery/serve-discovery.js';
import {
  ApiError,
  forbidden,
  forbiddenPath,
  internalError,
  methodNotAllowed,
  notFound,
  notFoundPath,
  unauthorized,
} from './errors.js';
import type { Json, JsonObject } from './json.js';
import { isObject, textsOf } from './json.js';
import { proxyLog } from './kubelet/kubelet-proxy.js';
import { servePortForward } from './kubelet/port-forward.js';
import type { Accepted } from './request/accept.js';
import { acceptedForm } from './request/accept.js';
import { parseBody, readBody } from './request/body.js';
import { listTexts } from './request/list-texts.js';
import { protobufType } from './request/protobuf.js';
import type { RequestInfo } from './request/request-info.js';
import { requestInfo } from './request/request-info.js';
import { sendJson, sendObject, sendParts } from './request/respond.js';
import type { ResourceType } from './resources/resource-type.js';
import { apiVersionOf, refOf } from './resources/resource-type.js';
import { bindPod, evictPod } from './subresources/pod-actions.js';
import { serveScale } from './subresources/scale.js';
import { requestToken } from './subresources/token-request.js';
import { metadataOnly, tableOf } from './table/table.js';
import type { Answer, Backend, Call } from './verbs/call.js';
import { dryRunOf, fieldManagerOf, fieldValidationOf } from './verbs/call.js';
import { createObject } from './verbs/create.js';
import { deletedStatus, deleteObject, deleteOptionsOf } from './verbs/delete.js';
import { duplicateFields } from './verbs/duplicate-fields.js';
import { readObject } from './verbs/incoming.js';
import type { Page } from './verbs/list.js';
import { Lister } from './verbs/list.js';
import { patchObject } from './verbs/patch.js';
import { selectionOf } from './verbs/selection.js';
import { currentOf, replaceObject } from './verbs/update.js';
import { serveWatch } from './watch/watch-stream.js';

/** What the router needs. */
export type RouterOptions = Readonly<{
  backend: Backend;
  accounts: ServiceAccountTokens;
  authenticate: (token: string) => Authenticated | undefined;
  log: Logger;
}>;

const openPaths = new Set(['/healthz', '/livez', '/readyz', '/version', '/version/']);
const localHosts = new Set(['127.0.0.1', 'localhost', '[::1]', '::1', 'kubernetes.default.svc']);

/** Requests through a browser that a foreign page sent: a name that is not ours, or an Origin. */
const checkLocal = (request: IncomingMessage): void => {
  const host = (request.headers.host ?? '').replace(/:\d+$/, '').toLowerCase();
  if (!localHosts.has(host))
    throw new ApiError(
      403,
      'Forbidden',
      `the host ${JSON.stringify(host)} is not served here; use 127.0.0.1 or localhost`,
    );
  if (request.headers.origin !== undefined)
    throw new ApiError(403, 'Forbidden', 'requests from web pages (with an Origin header) are refused');
};

/** Handles all requests but upgrades. */
export class Router {
  readonly #options: RouterOptions;
  readonly #lister = new Lister();

  constructor(options: RouterOptions) {
    this.#options = options;
  }

  /** Who sent a request. Throws 401 for a token that is not good, or for none on a path that needs one. */
  authenticateRequest(request: IncomingMessage, path: string): User {
    const token = bearerToken(request.headers.authorization);
    if (token === '') {
      if (
        openPaths.has(path) ||
        path.startsWith('/livez/') ||
        path.startsWith('/readyz/') ||
        path.startsWith('/healthz/')
      )
        return anonymous;
      throw unauthorized();
    }
    const user = apiUser(this.#options.authenticate(token));
    if (user === undefined) throw unauthorized();
    return this.#impersonated(user, request);
  }

  /** The user that a caller asks to be taken for. Throws 403 unless the caller may impersonate. */
  #impersonated(user: User, request: IncomingMessage): User {
    const wanted = impersonationOf(request.headers);
    if (wanted === undefined) return user;
    for (const { group, resource, name, namespace } of wanted.targets) {
      this.authorize(user, {
        verb: 'impersonate',
        path: '',
        group,
        version: '',
        resource,
        subresource: '',
        namespace,
        name,
        rest: '',
      });
    }
    return wanted.user;
  }

  /** Throws 403 unless the user may do what the request asks for. */
  authorize(user: User, info: RequestInfo): void {
    if (user === anonymous || mayDo(this.#options.backend.store, user, info)) return;
    const why = refusal(user, info);
    throw info.resource === undefined
      ? forbiddenPath(info.path, why)
      : forbidden({ group: info.group, plural: info.resource }, info.name, why);
  }

  /** The call of a request to a resource that is stored. Throws 404 when nothing serves it. */
  callOf(info: RequestInfo, query: URLSearchParams, user: User, request: IncomingMessage): Call {
    const type = this.#options.backend.registry.find(info.group, info.version, info.resource ?? '');
    if (type === undefined) throw notFoundPath();
    if (!type.isNamespaced && info.namespace !== '' && info.resource !== 'namespaces') throw notFoundPath();
    return {
      backend: this.#options.backend,
      type,
      info: type.isNamespaced ? info : { ...info, namespace: '' },
      query,
      user,
      contentType: (request.headers['content-type'] ?? '').split(';')[0]?.trim() ?? '',
      dryRun: dryRunOf(query.getAll('dryRun')),
      fieldManager: fieldManagerOf(query, String(request.headers['user-agent'] ?? '')),
      fieldValidation: fieldValidationOf(query.get('fieldValidation')),
      warnings: [],
    };
  }

  /** Answers one request; never rejects. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      checkLocal(request);
      const url = request.url ?? '/';
      const mark = url.indexOf('?');
      const path = mark < 0 ? url : url.slice(0, mark);
      const query = new URLSearchParams(mark < 0 ? '' : url.slice(mark + 1));
      const user = this.authenticateRequest(request, path);
      const info = requestInfo(request.method ?? 'GET', path, query);
      this.authorize(user, info);
      await this.#dispatch(request, response, info, query, user);
    } catch (error) {
      this.#sendError(request, response, error);
    }
  }

  /** Answers a request to switch protocols; only port-forward does. Never throws. */
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy());
    try {
      checkLocal(request);
      const url = new URL(request.url ?? '/', 'https://localhost');
      const user = this.authenticateRequest(request, url.pathname);
      const info = requestInfo('GET', url.pathname, url.searchParams);
      this.authorize(user, info);
      const call = this.callOf(info, url.searchParams, user, request);
      if (call.type.storage !== '/pods' || info.subresource !== 'portforward') throw notFoundPath();
      servePortForward(call, request, socket, head);
    } catch (error) {
      const known =
        error instanceof ApiError
          ? error
          : internalError(error instanceof Error ? error.message : String(error));
      const body = JSON.stringify(known.status());
      socket.end(
        `HTTP/1.1 ${known.code} ${known.reason}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
      );
    }
  }

  #sendError(request: IncomingMessage, response: ServerResponse, error: unknown): void {
    const known =
      error instanceof ApiError
        ? error
        : new ApiError(
            500,
            'InternalError',
            `Internal error occurred: ${error instanceof Error ? error.message : String(error)}`,
          );
    if (!(error instanceof ApiError))
      this.#options.log.error({ err: error, method: request.method, path: request.url }, 'request failed');
    if (response.headersSent || response.destroyed) {
      response.destroy();
      return;
    }
    const headers: Record<string, string> = {};
    if (known.details?.retryAfterSeconds !== undefined)
      headers['retry-after'] = String(known.details.retryAfterSeconds);
    // What is left of a body that nobody will read would be taken for the next request.
    if (!request.complete) headers.connection = 'close';
    sendObject(request, response, known.code, known.status(), [], headers);
  }

  async #dispatch(
    request: IncomingMessage,
    response: ServerResponse,
    info: RequestInfo,
    query: URLSearchParams,
    user: User,
  ): Promise<void> {
    if (info.resource === undefined) {
      const served = serveDiscovery(this.#options.backend, info.path, request, response);
      if (!served) throw notFoundPath();
      return;
    }
    if (info.verb === 'create' && info.name === '') {
      const isReview = ['authentication.k8s.io', 'authorization.k8s.io'].includes(info.group);
      if (isReview) {
        const body = await this.#body(request);
        const answer = answerReview(
          { store: this.#options.backend.store, authenticate: this.#options.authenticate },
          info,
          user,
          body.value,
        );
        if (answer === undefined) throw notFoundPath();
        sendObject(request, response, 201, answer);
        return;
      }
    }
    const call = this.callOf(info, query, user, request);
    if (info.subresource !== '' && info.subresource !== 'status')
      await this.#subresource(request, response, call);
    else if (info.subresource === 'status' && !call.type.hasStatus) throw notFoundPath();
    else await this.#verb(request, response, call);
  }

  async #body(request: IncomingMessage): Promise<{ value: Json; text: Buffer; contentType: string }> {
    const text = await readBody(request);
    const contentType = (request.headers['content-type'] ?? '').split(';')[0]?.trim() ?? '';
    return { value: text.length === 0 ? null : parseBody(text, contentType), text, contentType };
  }

  async #verb(request: IncomingMessage, response: ServerResponse, call: Call): Promise<void> {
    const { info, query, type } = call;
    const accepted = acceptedForm(String(request.headers.accept ?? ''), query.get('includeObject'));
    switch (info.verb) {
      case 'get': {
        const entry = this.#options.backend.store.get(
          type.storage,
          type.isNamespaced ? info.namespace : undefined,
          info.name,
        );
        if (entry === undefined) throw notFound(refOf(type), info.name);
        const answer: Answer =
          type.toServed === undefined
            ? { code: 200, object: entry.object, bytes: entry.bytes }
            : { code: 200, object: type.toServed(entry.object) };
        this.#send(request, response, call, answer, accepted);
        return;
      }
      case 'list':
        this.#sendPage(request, response, call, this.#lister.list(call), accepted);
        return;
      case 'watch':
        serveWatch(call, response, accepted);
        return;
      case 'create': {
        if (info.name !== '') throw methodNotAllowed();
        const body = await this.#body(request);
        await this.#write(request, response, call, accepted, () =>
          createObject(call, readObject(call, body.value, this.#duplicates(call, body.text))),
        );
        return;
      }
      case 'update': {
        const body = await this.#body(request);
        await this.#write(request, response, call, accepted, () =>
          replaceObject(call, readObject(call, body.value, this.#duplicates(call, body.text))),
        );
        return;
      }
      case 'patch': {
        const body = await this.#body(request);
        await this.#write(request, response, call, accepted, () => patchObject(call, body.value));
        return;
      }
      case 'delete':
        await this.#delete(request, response, call, accepted);
        return;
      case 'deletecollection':
        if (call.type.kind === 'Namespace') throw methodNotAllowed();
        await this.#deleteCollection(request, response, call);
        return;
      default:
        throw methodNotAllowed();
    }
  }

  #duplicates(call: Call, text: Buffer): string[] {
    return call.fieldValidation === 'Ignore' || call.contentType === protobufType
      ? []
      : duplicateFields(text.toString());
  }

  /** Runs a write; whatever comes of it is told only when all it may rest on is on disk. */
  async #write(
    request: IncomingMessage,
    response: ServerResponse,
    call: Call,
    accepted: Accepted,
    write: () => Answer,
  ): Promise<void> {
    const { store } = call.backend;
    let answer: Answer;
    try {
      answer = write();
    } catch (error) {
      await store.durable();
      throw error;
    }
    await store.durable();
    this.#send(request, response, call, answer, accepted);
  }

  async #deleteBody(
    request: IncomingMessage,
    query: URLSearchParams,
  ): Promise<{ options: ReturnType<typeof deleteOptionsOf>; dryRun: boolean }> {
    const { value } = await this.#body(request);
    const body: JsonObject = isObject(value) ? value : {};
    return {
      options: deleteOptionsOf(body, query),
      dryRun: dryRunOf([...textsOf(body.dryRun), ...query.getAll('dryRun')]),
    };
  }

  async #delete(
    request: IncomingMessage,
    response: ServerResponse,
    call: Call,
    accepted: Accepted,
  ): Promise<void> {
    const { options, dryRun } = await this.#deleteBody(request, call.query);
    const { store } = call.backend;
    let answer: ReturnType<typeof deleteObject>;
    try {
      answer = deleteObject({ ...call, dryRun }, options);
    } finally {
      await store.durable();
    }
    if (answer.isRemoved && !call.type.answersDeleted)
      sendObject(request, response, 200, deletedStatus(call, answer.object), call.warnings);
    else this.#send(request, response, call, answer, accepted);
  }

  async #deleteCollection(request: IncomingMessage, response: ServerResponse, call: Call): Promise<void> {
    const { options, dryRun } = await this.#deleteBody(request, call.query);
    const { store } = call.backend;
    const selection = selectionOf(call);
    const deleted: JsonObject[] = [];
    for (const entry of [...store.list(call.type.storage, selection.namespace)].filter(selection.includes)) {
      const { name = '', namespace = '' } = entry.object.metadata;
      if (store.head(call.type.storage, namespace, name) === undefined) continue;
      deleted.push(
        deleteObject({ ...call, dryRun, info: { ...call.info, name, namespace } }, options).object,
      );
    }
    await store.durable();
    sendObject(request, response, 200, this.#listObject(call.type, deleted, store.revision), call.warnings);
  }

  #listObject(type: ResourceType, items: JsonObject[], revision: number): JsonObject {
    return {
      kind: type.listKind,
      apiVersion: apiVersionOf(type),
      metadata: { resourceVersion: String(revision) },
      items,
    };
  }

  #send(
    request: IncomingMessage,
    response: ServerResponse,
    call: Call,
    answer: Answer,
    accepted: Accepted,
  ): void {
    const { object, bytes, code } = answer;
    if (accepted.kind === 'table' && object.kind !== 'Scale' && object.kind !== 'Status') {
      const table = tableOf(
        call.type,
        [object],
        { resourceVersion: object.metadata.resourceVersion ?? '' },
        accepted.include,
        call.backend.nowMs(),
      );
      sendObject(request, response, code, table, call.warnings);
    } else if (accepted.kind === 'metadata')
      sendObject(request, response, code, metadataOnly(object), call.warnings);
    else if (bytes === undefined) sendObject(request, response, code, object, call.warnings);
    else sendJson(request, response, code, bytes, call.warnings);
  }

  #sendPage(
    request: IncomingMessage,
    response: ServerResponse,
    call: Call,
    page: Page,
    accepted: Accepted,
  ): void {
    sendParts(request, response, listTexts(call, page, accepted), call.warnings);
  }

  async #subresource(request: IncomingMessage, response: ServerResponse, call: Call): Promise<void> {
    const { info, type, backend } = call;
    const { subresource, verb } = info;
    const settle = async (make: () => JsonObject, code = 201): Promise<void> => {
      let object: JsonObject;
      try {
        object = make();
      } finally {
        await backend.store.durable();
      }
      sendObject(request, response, code, object, call.warnings);
    };
    if (subresource === 'scale' && type.scale !== undefined) {
      const paths = type.scale;
      if (!['get', 'update', 'patch'].includes(verb)) throw methodNotAllowed();
      const body = verb === 'get' ? null : (await this.#body(request)).value;
      await settle(() => serveScale(call, paths, body).object, 200);
      return;
    }
    if (type.storage === '/pods' && subresource === 'log' && verb === 'get') {
      proxyLog(call, request, response);
      return;
    }
    if (type.storage === '/pods' && subresource === 'portforward') {
      throw new ApiError(400, 'BadRequest', 'Upgrade request required: port-forward needs a WebSocket');
    }
    if (verb !== 'create' && !(subresource === 'finalize' && verb === 'update')) throw notFoundPath();
    const body = (await this.#body(request)).value;
    if (type.storage === '/pods' && subresource === 'eviction') await settle(() => evictPod(call, body));
    else if (type.storage === '/pods' && subresource === 'binding') await settle(() => bindPod(call, body));
    else if (type.storage === '/serviceaccounts' && subresource === 'token')
      await settle(() => requestToken(call, this.#options.accounts, body));
    else if (type.storage === '/namespaces' && subresource === 'finalize')
      await settle(() => currentOf(call).object, 200);
    else throw notFoundPath();
  }
}
