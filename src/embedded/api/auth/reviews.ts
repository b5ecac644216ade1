/** Questions about users and rights: the review kinds, which are created and answered but never stored. */
import { badRequest } from '../errors.js';
import type { Json, JsonObject } from '../json.js';
import { arrayOf, isObject, objectOf, textOf, textsOf } from '../json.js';
import type { RequestInfo } from '../request/request-info.js';
import type { Store } from '../store/store.js';
import type { Authenticated } from './authenticate.js';
import { mayDo, rulesFor } from './rbac.js';
import { apiAudience } from './service-account-tokens.js';
import type { User } from './user.js';

const userObject = (user: User): JsonObject => ({
  username: user.name,
  ...(user.uid === undefined ? {} : { uid: user.uid }),
  groups: [...user.groups],
  ...(user.extra === undefined
    ? {}
    : { extra: Object.fromEntries(Object.entries(user.extra).map(([key, values]) => [key, [...values]])) }),
});

/** What the reviews need to find out. */
export type ReviewBackend = Readonly<{
  store: Store;
  authenticate: (token: string) => Authenticated | undefined;
}>;

const infoOf = (spec: JsonObject): RequestInfo => {
  const resource = objectOf(spec.resourceAttributes);
  const other = objectOf(spec.nonResourceAttributes);
  const isResource = isObject(spec.resourceAttributes);
  if (isResource === isObject(spec.nonResourceAttributes))
    throw badRequest('exactly one of spec.resourceAttributes and spec.nonResourceAttributes must be set');
  return {
    verb: textOf(isResource ? resource.verb : other.verb),
    path: textOf(other.path),
    group: textOf(resource.group),
    version: textOf(resource.version),
    resource: isResource ? textOf(resource.resource) : undefined,
    subresource: textOf(resource.subresource),
    namespace: textOf(resource.namespace),
    name: textOf(resource.name),
    rest: '',
  };
};

const accessStatus = (store: Store, user: User, spec: JsonObject): JsonObject => {
  const allowed = mayDo(store, user, infoOf(spec));
  return { allowed, ...(allowed ? { reason: 'RBAC: allowed' } : {}) };
};

const tokenStatus = ({ authenticate }: ReviewBackend, spec: JsonObject): JsonObject => {
  const found = authenticate(textOf(spec.token));
  if (found === undefined) return { user: {}, error: 'invalid bearer token' };
  const asked = textsOf(spec.audiences);
  const wanted = asked.length === 0 ? [apiAudience] : asked;
  const audiences =
    found.audiences === undefined ? wanted : wanted.filter((audience) => found.audiences?.includes(audience));
  if (audiences.length === 0)
    return {
      user: {},
      error: `token audiences ${JSON.stringify(found.audiences)} is invalid for the target audiences ${JSON.stringify(wanted)}`,
    };
  return { authenticated: true, user: userObject(found.user), audiences: [...audiences] };
};

const rulesStatus = (store: Store, user: User, namespace: string): JsonObject => {
  const rules = user.groups.includes('system:masters')
    ? [
        { verbs: ['*'], apiGroups: ['*'], resources: ['*'] },
        { verbs: ['*'], nonResourceURLs: ['*'] },
      ]
    : [...rulesFor(store, user, namespace)];
  const isResource = (rule: JsonObject): boolean => arrayOf(rule.resources).length > 0;
  return {
    resourceRules: rules.filter(isResource),
    nonResourceRules: rules.filter((rule) => !isResource(rule)),
    incomplete: false,
  };
};

/** The answered review; undefined for a resource that is no review. */
export const answerReview = (
  backend: ReviewBackend,
  info: RequestInfo,
  user: User,
  body: Json,
): JsonObject | undefined => {
  const { store } = backend;
  const review = objectOf(body);
  const spec = objectOf(review.spec);
  const answer = (kind: string, status: JsonObject): JsonObject => ({
    kind,
    apiVersion: `${info.group}/v1`,
    metadata: { ...objectOf(review.metadata), creationTimestamp: null },
    ...(review.spec === undefined ? {} : { spec }),
    status,
  });
  switch (`${info.group}/${info.resource ?? ''}`) {
    case 'authentication.k8s.io/tokenreviews':
      return answer('TokenReview', tokenStatus(backend, spec));
    case 'authentication.k8s.io/selfsubjectreviews':
      return answer('SelfSubjectReview', { userInfo: userObject(user) });
    case 'authorization.k8s.io/selfsubjectaccessreviews':
      return answer('SelfSubjectAccessReview', accessStatus(store, user, spec));
    case 'authorization.k8s.io/subjectaccessreviews':
    case 'authorization.k8s.io/localsubjectaccessreviews': {
      const asked: User = { name: textOf(spec.user), groups: textsOf(spec.groups) };
      return answer(
        info.resource === 'subjectaccessreviews' ? 'SubjectAccessReview' : 'LocalSubjectAccessReview',
        accessStatus(store, asked, spec),
      );
    }
    case 'authorization.k8s.io/selfsubjectrulesreviews':
      return answer('SelfSubjectRulesReview', rulesStatus(store, user, textOf(spec.namespace)));
    default:
      return undefined;
  }
};
