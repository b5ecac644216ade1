/**
 * The calls that make a namespace's grant what it should be: one Role with what runtimed needs, one RoleBinding for
 * exactly the ServiceAccounts in use, and our own ServiceAccount where a template names none.
 */
import * as E from 'fp-ts/lib/Either.js';
import { map } from 'rxjs';

import type { ArtifactStoreSettings } from '../../src/model/artifact-store.js';
import type { Command } from '../../src/model/command.js';
import type { EffectError } from '../../src/model/effect-error.js';
import { FIELD_MANAGER, RUNTIMED_ACCOUNT } from '../../src/model/names.js';
import type { Resource } from '../../src/model/resource.js';
import { persistentVolumeClaims, roleBindings, roles, serviceAccounts } from '../../src/model/resources.js';
import type { Effect, KubePort } from '../../src/ports.js';

/** What runtimed may do: see the Runs of its namespace and write their status. Nothing else. */
export const RUNTIMED_RULES = [
  { apiGroups: ['kruntimes.io'], resources: ['runs'], verbs: ['get', 'list', 'watch'] },
  { apiGroups: ['kruntimes.io'], resources: ['runs/status'], verbs: ['patch'] },
];

const labels = { 'app.kubernetes.io/managed-by': FIELD_MANAGER, 'app.kubernetes.io/name': 'kruntimes' };

/** Asked of storage that is provisioned for the default store's claim. */
const CLAIM_SIZE = '10Gi';

/** The claim of the default store, as its pods cannot start without it. One that is there is left as it is. */
const claimCalls = (
  kube: KubePort,
  namespace: string,
  store: ArtifactStoreSettings | undefined,
): ReadonlyArray<Effect<unknown>> => {
  if (store?.driver !== 'filesystem') return [];
  const { volumeClaimName: name } = store.filesystem;
  const claim = {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name, namespace, labels },
    // Pods of all nodes write to it.
    spec: { accessModes: ['ReadWriteMany'], resources: { requests: { storage: CLAIM_SIZE } } },
  };
  return [
    kube
      .create(persistentVolumeClaims, namespace, claim)
      .pipe(
        map((answer) =>
          E.isLeft(answer) && answer.left.kind === 'AlreadyExists'
            ? E.right<EffectError, unknown>(undefined)
            : answer,
        ),
      ),
  ];
};

/** The calls, to be made in order. */
export const grantCalls = (
  kube: KubePort,
  { namespace, accounts, ownAccount }: Extract<Command, { kind: 'EnsureGrant' }>,
  defaultStore: ArtifactStoreSettings | undefined,
): ReadonlyArray<Effect<unknown>> => {
  const ref = { namespace, name: RUNTIMED_ACCOUNT };
  if (accounts.length === 0) return [kube.delete(roleBindings, ref), kube.delete(roles, ref)];
  const apply = (resource: Resource, fields: Readonly<Record<string, unknown>>): Effect<unknown> =>
    kube.patch(resource, ref, {
      type: 'apply',
      fieldManager: FIELD_MANAGER,
      force: true,
      body: {
        apiVersion: resource.group === '' ? resource.version : `${resource.group}/${resource.version}`,
        kind: resource.kind,
        metadata: { name: RUNTIMED_ACCOUNT, namespace, labels },
        ...fields,
      },
    });
  return [
    ...claimCalls(kube, namespace, defaultStore),
    ...(ownAccount ? [apply(serviceAccounts, { automountServiceAccountToken: false })] : []),
    apply(roles, { rules: RUNTIMED_RULES }),
    apply(roleBindings, {
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: RUNTIMED_ACCOUNT },
      subjects: accounts.map((name) => ({ kind: 'ServiceAccount', name, namespace })),
    }),
  ];
};
