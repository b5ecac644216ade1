/** Built-in types as schemas, from the table of their fields and the table of how their lists merge. */
import { builtinDescriptions } from './builtin-descriptions.js';
import { listMerges } from './builtin-merges.js';
import { builtinTypes } from './builtin-types.js';
import type { Schema } from './schema.js';

const scalars: Readonly<Record<string, Schema>> = {
  string: { type: 'string' },
  bool: { type: 'boolean' },
  int32: { type: 'integer', format: 'int32' },
  int64: { type: 'integer', format: 'int64' },
  double: { type: 'number', format: 'double' },
  time: { type: 'string', format: 'date-time' },
  microtime: { type: 'string', format: 'date-time' },
  bytes: { type: 'string', format: 'byte' },
  intstr: { 'x-kubernetes-int-or-string': true },
  quantity: { 'x-kubernetes-int-or-string': true },
  any: { 'x-kubernetes-preserve-unknown-fields': true },
};

/** Groups whose types carry another package's name in OpenAPI documents. */
const packages: readonly (readonly [RegExp, string])[] = [
  [
    /^(ObjectMeta|ListMeta|OwnerReference|ManagedFieldsEntry|Condition|LabelSelector|LabelSelectorRequirement|DeleteOptions|Preconditions|Status|StatusCause|StatusDetails|FieldSelectorRequirement)$/,
    'io.k8s.apimachinery.pkg.apis.meta.v1',
  ],
  [
    /^(CustomResource|JSONSchemaProps|ValidationRule|SelectableField|WebhookConversion|Apiextensions|ExternalDocumentation)/,
    'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1',
  ],
  [
    /^(Role|RoleBinding|ClusterRole|ClusterRoleBinding|PolicyRule|RoleRef|RbacV1Subject|AggregationRule)$/,
    'io.k8s.api.rbac.v1',
  ],
  [/^Lease/, 'io.k8s.api.coordination.v1'],
  [/^(EventsV1)/, 'io.k8s.api.events.v1'],
  [/^(PodDisruptionBudget|Eviction)/, 'io.k8s.api.policy.v1'],
  [/^(Token|SelfSubjectReview|UserInfo|BoundObjectReference)/, 'io.k8s.api.authentication.v1'],
  [
    /^(SelfSubject|SubjectAccess|LocalSubject|SubjectRules|ResourceAttributes|NonResource|ResourceRule)/,
    'io.k8s.api.authorization.v1',
  ],
  [/^Scale(Spec|Status)?$/, 'io.k8s.api.autoscaling.v1'],
];

/** Name of a type in OpenAPI documents. */
const openApiName = (type: string): string => {
  const group = packages.find(([pattern]) => pattern.test(type))?.[1] ?? 'io.k8s.api.core.v1';
  return `${group}.${type.replace(/^EventsV1Event/, 'Event').replace(/^RbacV1/, '')}`;
};

const made = new Map<string, Schema>();

const schemaOfText = (text: string): Schema => {
  if (text.startsWith('[')) return { type: 'array', items: schemaOfText(text.slice(1, -1)) };
  if (text.startsWith('{')) return { type: 'object', additionalProperties: schemaOfText(text.slice(1, -1)) };
  const scalar = scalars[text];
  return scalar ?? builtinSchema(text);
};

/**
 * The schema of a built-in type, such as `Pod` or `Container`. The same object each time, and shared between the
 * types that use it. Throws for a name that the table does not have: that is a mistake of this program.
 */
export const builtinSchema = (type: string): Schema => {
  const known = made.get(type);
  if (known !== undefined) return known;
  const line = builtinTypes[type];
  if (line === undefined) throw new Error(`no built-in type ${type}`);
  const schema: Schema = { typeName: openApiName(type), type: 'object', properties: {} };
  made.set(type, schema);
  const descriptions = builtinDescriptions[type];
  if (descriptions?.[''] !== undefined) schema.description = descriptions[''];
  const required: string[] = [];
  for (const field of line.split(' ').filter((word) => word !== '')) {
    const colon = field.indexOf(':');
    const isOptional = field[colon - 1] === '?';
    const name = field.slice(0, isOptional ? colon - 1 : colon);
    const shared = schemaOfText(field.slice(colon + 1));
    const merge = listMerges[`${type}.${name}`];
    const description = descriptions?.[name];
    const own: Schema = { ...shared };
    if (merge !== undefined) Object.assign(own, merge);
    if (description !== undefined) {
      if (shared.typeName === undefined) own.description = description;
      else own.fieldDescription = description;
    }
    const isOwn = merge !== undefined || description !== undefined;
    if (schema.properties !== undefined) schema.properties[name] = isOwn ? own : shared;
    if (!isOptional) required.push(name);
  }
  if (required.length > 0) schema.required = required;
  return schema;
};
