/** What does a request ask for? Its path and method, in the words of authorisation. */

/** A request to a resource, or to another path (`resource` undefined). */
export type RequestInfo = Readonly<{
  /** get, list, watch, create, update, patch, delete, deletecollection; for other paths the method in lower case. */
  verb: string;
  path: string;
  group: string;
  version: string;
  resource: string | undefined;
  subresource: string;
  namespace: string;
  name: string;
  /** What follows the subresource. */
  rest: string;
}>;

const verbs: Readonly<Record<string, readonly [withName: string, without: string]>> = {
  GET: ['get', 'list'],
  HEAD: ['get', 'list'],
  POST: ['create', 'create'],
  PUT: ['update', 'update'],
  PATCH: ['patch', 'patch'],
  DELETE: ['delete', 'deletecollection'],
};

const isTrue = (value: string | null): boolean => value === 'true' || value === '1';

/** Reads a request's method, path and query. */
export const requestInfo = (method: string, path: string, query: URLSearchParams): RequestInfo => {
  const other: RequestInfo = {
    verb: method.toLowerCase(),
    path,
    group: '',
    version: '',
    resource: undefined,
    subresource: '',
    namespace: '',
    name: '',
    rest: '',
  };
  const parts = path
    .split('/')
    .filter((part) => part !== '')
    .map(decode);
  const isCore = parts[0] === 'api';
  if (!isCore && parts[0] !== 'apis') return other;
  const head = isCore ? 2 : 3;
  const group = isCore ? '' : (parts[1] ?? '');
  const version = parts[head - 1] ?? '';
  let after = parts.slice(head);
  if (after.length === 0 || version === '') return other;
  let namespace = '';
  if (
    after[0] === 'namespaces' &&
    after.length > 2 &&
    !(isCore && after.length === 3 && ['status', 'finalize'].includes(after[2] ?? ''))
  ) {
    namespace = after[1] ?? '';
    after = after.slice(2);
  }
  const [resource = '', name = '', subresource = '', ...rest] = after;
  if (resource === 'namespaces' && isCore) namespace = name;
  const [withName, without] = verbs[method] ?? [method.toLowerCase(), method.toLowerCase()];
  let verb = name === '' ? without : withName;
  if (verb === 'list' && isTrue(query.get('watch'))) verb = 'watch';
  if (verb === 'get' && subresource === '' && isTrue(query.get('watch'))) verb = 'watch';
  return { verb, path, group, version, resource, subresource, namespace, name, rest: rest.join('/') };
};

const decode = (part: string): string => {
  if (!part.includes('%')) return part;
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
};
