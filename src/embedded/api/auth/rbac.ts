/** What may a user do, by the stored Roles and their bindings? */
import type { Json, JsonObject } from '../json.js';
import { arrayOf, isObject, objectOf, textOf, textsOf } from '../json.js';
import type { RequestInfo } from '../request/request-info.js';
import type { Store } from '../store/store.js';
import type { User } from './user.js';
import { serviceAccountOf } from './user.js';

const rolesOf = 'rbac.authorization.k8s.io/roles';
const clusterRolesOf = 'rbac.authorization.k8s.io/clusterroles';
const roleBindingsOf = 'rbac.authorization.k8s.io/rolebindings';
const clusterRoleBindingsOf = 'rbac.authorization.k8s.io/clusterrolebindings';

const isSubject = (subject: JsonObject, user: User, bindingNamespace: string): boolean => {
  const name = textOf(subject.name);
  switch (subject.kind) {
    case 'User':
      return name === user.name;
    case 'Group':
      return user.groups.includes(name);
    case 'ServiceAccount': {
      const account = serviceAccountOf(user);
      return (
        account !== undefined &&
        account.name === name &&
        account.namespace === (textOf(subject.namespace) || bindingNamespace)
      );
    }
    default:
      return false;
  }
};

const includes = (list: Json | undefined, value: string): boolean => {
  const texts = textsOf(list);
  return texts.includes('*') || texts.includes(value);
};

const includesResource = (rule: JsonObject, resource: string, subresource: string): boolean => {
  const whole = subresource === '' ? resource : `${resource}/${subresource}`;
  const resources = textsOf(rule.resources);
  return (
    resources.includes('*') ||
    resources.includes(whole) ||
    (subresource !== '' && resources.includes(`*/${subresource}`))
  );
};

const allows = (rule: JsonObject, info: RequestInfo): boolean => {
  if (!includes(rule.verbs, info.verb)) return false;
  if (info.resource === undefined) {
    return textsOf(rule.nonResourceURLs).some(
      (path) =>
        path === '*' || path === info.path || (path.endsWith('*') && info.path.startsWith(path.slice(0, -1))),
    );
  }
  const names = textsOf(rule.resourceNames);
  return (
    includes(rule.apiGroups, info.group) &&
    includesResource(rule, info.resource, info.subresource) &&
    (names.length === 0 || (info.name !== '' && names.includes(info.name)))
  );
};

const rulesOfRef = (store: Store, binding: JsonObject, namespace: string): JsonObject[] => {
  const { kind, name } = objectOf(binding.roleRef);
  const role =
    kind === 'ClusterRole'
      ? store.get(clusterRolesOf, undefined, textOf(name))
      : store.get(rolesOf, namespace, textOf(name));
  return arrayOf(role?.object.rules).filter(isObject);
};

/** All rules that hold for a user in a namespace; the cluster-wide ones alone when it is empty. */
export const rulesFor = function* (store: Store, user: User, namespace: string): Generator<JsonObject> {
  for (const { object } of store.list(clusterRoleBindingsOf)) {
    if (arrayOf(object.subjects).some((subject) => isObject(subject) && isSubject(subject, user, '')))
      yield* rulesOfRef(store, object, '');
  }
  if (namespace === '') return;
  for (const { object } of store.list(roleBindingsOf, namespace)) {
    if (arrayOf(object.subjects).some((subject) => isObject(subject) && isSubject(subject, user, namespace)))
      yield* rulesOfRef(store, object, namespace);
  }
};

/** Whether the user may do what the request asks for. Members of system:masters may do everything. */
export const mayDo = (store: Store, user: User, info: RequestInfo): boolean => {
  if (user.groups.includes('system:masters')) return true;
  for (const rule of rulesFor(store, user, info.namespace)) if (allows(rule, info)) return true;
  return false;
};

/** Why a request is refused, in Kubernetes' words. */
export const refusal = (user: User, info: RequestInfo): string => {
  if (info.resource === undefined)
    return `User ${JSON.stringify(user.name)} cannot ${info.verb} path ${JSON.stringify(info.path)}`;
  const resource = info.subresource === '' ? info.resource : `${info.resource}/${info.subresource}`;
  const where =
    info.namespace === '' || info.resource === 'namespaces'
      ? 'at the cluster scope'
      : `in the namespace ${JSON.stringify(info.namespace)}`;
  return `User ${JSON.stringify(user.name)} cannot ${info.verb} resource ${JSON.stringify(resource)} in API group ${JSON.stringify(info.group)} ${where}`;
};
