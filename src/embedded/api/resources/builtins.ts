/** The built-in kinds, one description each. */
import type { FieldError } from '../errors.js';
import type { JsonObject } from '../json.js';
import { arrayOf, at, isObject, objectOf, sameJson, textOf } from '../json.js';
import type { KubeObject } from '../object.js';
import { builtinSchema } from '../schema/builtin-schema.js';
import { ageColumn } from '../table/table.js';
import { builtinColumns } from './columns.js';
import { crdProblems } from './custom.js';
import { fromEventsV1, toEventsV1 } from './events.js';
import { defaultPod, podColumns, podErrors, prepareNewPod } from './pods.js';
import type { ResourceType } from './resource-type.js';

type Own = Partial<Omit<ResourceType, 'group' | 'version' | 'kind' | 'plural'>> & { schemaName?: string };

const builtin = (
  group: string,
  version: string,
  kind: string,
  plural: string,
  own: Own = {},
): ResourceType => {
  const { schemaName, ...rest } = own;
  return {
    group,
    version,
    kind,
    listKind: `${kind}List`,
    plural,
    singular: kind.toLowerCase(),
    shortNames: [],
    categories: [],
    isNamespaced: true,
    isCustom: false,
    storage: `${group}/${plural}`,
    schema: builtinSchema(schemaName ?? kind),
    hasStatus: false,
    columns: builtinColumns[kind] ?? [ageColumn],
    fields: {},
    nameRule: 'subdomain',
    answersDeleted: false,
    allowsUnconditionalUpdate: true,
    createsOnUpdate: false,
    hasGeneration: false,
    ...rest,
  };
};

const reader =
  (...path: readonly string[]) =>
  (object: JsonObject): string => {
    const value = at(object, ...path);
    return value === undefined || value === null ? '' : String(value as string | number | boolean);
  };

const readers = (paths: readonly string[]): ResourceType['fields'] =>
  Object.fromEntries(paths.map((path) => [path, reader(...path.split('.'))]));

const withSpec = (object: KubeObject, defaults: JsonObject): KubeObject => ({
  ...object,
  spec: { ...defaults, ...objectOf(object.spec) },
});

const defaultService = (service: KubeObject): KubeObject => {
  const spec = objectOf(service.spec);
  const ports = arrayOf(spec.ports).map((port) =>
    isObject(port) ? { protocol: 'TCP', targetPort: port.port ?? 0, ...port } : port,
  );
  return withSpec(
    { ...service, spec: spec.ports === undefined ? spec : { ...spec, ports } },
    {
      type: 'ClusterIP',
      clusterIP: 'None',
      sessionAffinity: 'None',
      internalTrafficPolicy: 'Cluster',
    },
  );
};

const secretData = (secret: KubeObject): KubeObject => {
  const { stringData, ...rest } = secret;
  const added = Object.fromEntries(
    Object.entries(objectOf(stringData)).map(([key, value]) => [
      key,
      Buffer.from(textOf(value)).toString('base64'),
    ]),
  );
  return {
    ...rest,
    apiVersion: secret.apiVersion,
    kind: secret.kind,
    metadata: secret.metadata,
    type: secret.type ?? 'Opaque',
    ...(stringData === undefined ? {} : { data: { ...objectOf(secret.data), ...added } }),
  };
};

/** ConfigMaps and Secrets marked immutable stay as they are. */
const immutableErrors = (object: KubeObject, old: KubeObject | undefined): FieldError[] => {
  if (old?.immutable !== true) return [];
  const errors: FieldError[] = [];
  const forbid = (field: string): void => {
    errors.push({ type: 'Forbidden', field, detail: 'field is immutable when `immutable` is set' });
  };
  if (object.immutable !== true) forbid('immutable');
  for (const field of ['data', 'binaryData']) if (!sameJson(object[field], old[field])) forbid(field);
  return errors;
};

const keyText =
  "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";

/** Largest ConfigMap or Secret, bytes of all its values. */
const maxDataBytes = 1024 * 1024;

const dataErrors = (object: KubeObject, old: KubeObject | undefined): FieldError[] => {
  const errors = immutableErrors(object, old);
  let bytes = 0;
  for (const field of ['data', 'binaryData']) {
    for (const [key, value] of Object.entries(objectOf(object[field]))) {
      const encoded = object.kind === 'Secret' || field === 'binaryData';
      bytes += Buffer.byteLength(textOf(value), encoded ? 'base64' : 'utf8');
      if (!/^[-._a-zA-Z0-9]{1,253}$/.test(key))
        errors.push({ type: 'Invalid', field: `${field}[${key}]`, value: key, detail: keyText });
    }
  }
  if (bytes > maxDataBytes)
    errors.push({
      type: 'TooLong',
      field: object.kind === 'Secret' ? 'data' : '',
      detail: `may not be more than ${maxDataBytes} bytes`,
    });
  return errors;
};

const roleErrors = (object: KubeObject): FieldError[] =>
  arrayOf(object.rules).flatMap((rule, i) =>
    arrayOf(objectOf(rule).verbs).length === 0
      ? [
          {
            type: 'Required' as const,
            field: `rules[${i}].verbs`,
            detail: 'verbs must contain at least one value',
          },
        ]
      : [],
  );

const bindingErrors = (object: KubeObject, old: KubeObject | undefined): FieldError[] => {
  const errors: FieldError[] = [];
  for (const field of ['kind', 'name'])
    if (textOf(at(object, 'roleRef', field)) === '')
      errors.push({ type: 'Required', field: `roleRef.${field}`, detail: '' });
  if (old !== undefined && !sameJson(object.roleRef, old.roleRef))
    errors.push({
      type: 'Invalid',
      field: 'roleRef',
      value: object.roleRef,
      detail: 'cannot change roleRef',
    });
  return errors;
};

const defaultBinding = (object: KubeObject): KubeObject => ({
  ...object,
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', ...objectOf(object.roleRef) },
  ...(object.subjects === undefined
    ? {}
    : {
        subjects: arrayOf(object.subjects).map((subject) =>
          isObject(subject) && subject.apiGroup === undefined && subject.kind !== 'ServiceAccount'
            ? { ...subject, apiGroup: 'rbac.authorization.k8s.io' }
            : subject,
        ),
      }),
});

const defaultCrd = (crd: KubeObject): KubeObject => {
  const names = objectOf(objectOf(crd.spec).names);
  const kind = textOf(names.kind);
  return withSpec(
    {
      ...crd,
      spec: {
        ...objectOf(crd.spec),
        names: { singular: kind.toLowerCase(), listKind: `${kind}List`, ...names },
      },
    },
    { conversion: { strategy: 'None' } },
  );
};

const namespaceSpec = (namespace: KubeObject): KubeObject => ({
  ...namespace,
  spec: { finalizers: ['kubernetes'] },
  status: { phase: 'Active' },
});

const defaultNamespace = (namespace: KubeObject): KubeObject => ({
  ...namespace,
  metadata: {
    ...namespace.metadata,
    labels: { ...namespace.metadata.labels, 'kubernetes.io/metadata.name': namespace.metadata.name ?? '' },
  },
});

const eventFields = readers([
  'involvedObject.kind',
  'involvedObject.namespace',
  'involvedObject.name',
  'involvedObject.uid',
  'involvedObject.apiVersion',
  'involvedObject.resourceVersion',
  'involvedObject.fieldPath',
  'reason',
  'reportingComponent',
  'source',
  'type',
]);

const rbac = 'rbac.authorization.k8s.io';

/** Every built-in kind that is stored. */
export const builtinResourceTypes: readonly ResourceType[] = [
  builtin('', 'v1', 'Namespace', 'namespaces', {
    shortNames: ['ns'],
    isNamespaced: false,
    hasStatus: true,
    nameRule: 'label',
    answersDeleted: true,
    fields: readers(['status.phase']),
    prepareCreate: namespaceSpec,
    prepareUpdate: (object, old) => ({ ...object, spec: old.spec ?? {} }),
    defaults: defaultNamespace,
  }),
  builtin('', 'v1', 'Pod', 'pods', {
    shortNames: ['po'],
    categories: ['all'],
    hasStatus: true,
    answersDeleted: true,
    hasGeneration: true,
    columns: podColumns,
    fields: readers([
      'spec.nodeName',
      'spec.restartPolicy',
      'spec.schedulerName',
      'spec.serviceAccountName',
      'spec.hostNetwork',
      'status.phase',
      'status.podIP',
      'status.nominatedNodeName',
    ]),
    prepareCreate: prepareNewPod,
    defaults: defaultPod,
    validate: podErrors,
  }),
  builtin('', 'v1', 'Service', 'services', {
    shortNames: ['svc'],
    categories: ['all'],
    hasStatus: true,
    nameRule: 'label',
    answersDeleted: true,
    fields: readers(['spec.clusterIP', 'spec.type']),
    prepareCreate: (object) => ({ ...object, status: { loadBalancer: {} } }),
    defaults: defaultService,
  }),
  builtin('', 'v1', 'Endpoints', 'endpoints', { shortNames: ['ep'] }),
  builtin('', 'v1', 'ConfigMap', 'configmaps', { shortNames: ['cm'], validate: dataErrors }),
  builtin('', 'v1', 'Secret', 'secrets', {
    fields: readers(['type']),
    defaults: secretData,
    validate: dataErrors,
  }),
  builtin('', 'v1', 'ServiceAccount', 'serviceaccounts', { shortNames: ['sa'], answersDeleted: true }),
  builtin('', 'v1', 'Event', 'events', {
    shortNames: ['ev'],
    storage: 'events',
    fields: eventFields,
    createsOnUpdate: true,
  }),
  builtin('', 'v1', 'Node', 'nodes', {
    shortNames: ['no'],
    isNamespaced: false,
    hasStatus: true,
    fields: readers(['spec.unschedulable']),
  }),
  builtin('', 'v1', 'PersistentVolumeClaim', 'persistentvolumeclaims', {
    shortNames: ['pvc'],
    hasStatus: true,
    answersDeleted: true,
    prepareCreate: (object) => ({ ...object, status: { phase: 'Pending' } }),
    defaults: (object) => withSpec(object, { volumeMode: 'Filesystem' }),
  }),
  builtin('coordination.k8s.io', 'v1', 'Lease', 'leases', { createsOnUpdate: true }),
  builtin(rbac, 'v1', 'Role', 'roles', { nameRule: 'path', validate: roleErrors, createsOnUpdate: true }),
  builtin(rbac, 'v1', 'RoleBinding', 'rolebindings', {
    nameRule: 'path',
    defaults: defaultBinding,
    validate: bindingErrors,
    createsOnUpdate: true,
  }),
  builtin(rbac, 'v1', 'ClusterRole', 'clusterroles', {
    nameRule: 'path',
    isNamespaced: false,
    validate: roleErrors,
    createsOnUpdate: true,
  }),
  builtin(rbac, 'v1', 'ClusterRoleBinding', 'clusterrolebindings', {
    nameRule: 'path',
    isNamespaced: false,
    defaults: defaultBinding,
    validate: bindingErrors,
    createsOnUpdate: true,
  }),
  builtin('events.k8s.io', 'v1', 'Event', 'events', {
    shortNames: ['ev'],
    storage: 'events',
    schemaName: 'EventsV1Event',
    fields: eventFields,
    createsOnUpdate: true,
    toServed: toEventsV1,
    toStored: fromEventsV1,
  }),
  builtin('policy', 'v1', 'PodDisruptionBudget', 'poddisruptionbudgets', {
    shortNames: ['pdb'],
    hasStatus: true,
    hasGeneration: true,
  }),
  builtin('apiextensions.k8s.io', 'v1', 'CustomResourceDefinition', 'customresourcedefinitions', {
    shortNames: ['crd', 'crds'],
    categories: ['api-extensions'],
    isNamespaced: false,
    hasStatus: true,
    hasGeneration: true,
    defaults: defaultCrd,
    validate: (object, old) => {
      const errors = crdProblems(object);
      const scope = at(object, 'spec', 'scope');
      if (old !== undefined && at(old, 'spec', 'scope') !== scope)
        errors.push({ type: 'Invalid', field: 'spec.scope', value: scope, detail: 'field is immutable' });
      return errors;
    },
  }),
];
