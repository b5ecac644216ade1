/** What a ServiceAccount may do: what `kubectl auth can-i --list` shows, less what everybody may. */
import type { Body } from '../conformance/target.js';
import type { ApiLevel } from './api-level.js';

const everybody = ['authentication.k8s.io/selfsubjectreviews', 'authorization.k8s.io/selfsubject'];

/** One line per resource, `group/resource[name]: verbs`, sorted. */
export const rightsOf = async (
  level: Pick<ApiLevel, 'call'>,
  token: string,
  namespace: string,
): Promise<ReadonlyArray<string>> => {
  const { body } = await level.call(
    'POST',
    '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews',
    { apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectRulesReview', spec: { namespace } },
    { token },
  );
  return (body.status.resourceRules as Body[])
    .flatMap(({ apiGroups, resources, resourceNames = [], verbs }) =>
      apiGroups.flatMap((group: string) =>
        resources.map(
          (resource: string) =>
            `${group === '' ? '' : `${group}/`}${resource}${resourceNames.length > 0 ? `[${resourceNames}]` : ''}: ${verbs.join(' ')}`,
        ),
      ),
    )
    .filter((line) => !everybody.some((prefix) => line.startsWith(prefix)))
    .sort();
};
