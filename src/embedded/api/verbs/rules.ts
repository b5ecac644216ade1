/** Every rule of an object's kind, in order: defaults, schema, CEL, the kind's own. */
import type { FieldError } from '../errors.js';
import { invalid } from '../errors.js';
import { sameBut, sameJson } from '../json.js';
import type { KubeObject } from '../object.js';
import { isKubeObject } from '../object.js';
import type { ResourceType } from '../resources/resource-type.js';
import { validateRules } from '../schema/cel.js';
import { applyDefaults } from '../schema/default.js';
import { validate } from '../schema/validate.js';
import { metadataChangeErrors, metadataErrors } from './metadata-rules.js';

/** The object with its kind's defaults. */
export const withKindDefaults = (type: ResourceType, object: KubeObject): KubeObject => {
  const filled = type.isCustom ? applyDefaults(type.schema, object) : object;
  const whole = isKubeObject(filled) ? filled : object;
  return type.defaults === undefined ? whole : type.defaults(whole);
};

/** Errors after which CEL rules cannot be trusted to mean anything. */
const blocking: readonly FieldError['type'][] = [
  'NotSupported',
  'Required',
  'TooLong',
  'TooMany',
  'TypeInvalid',
];

const customErrors = (type: ResourceType, object: KubeObject, old: KubeObject | undefined): FieldError[] => {
  const errors: FieldError[] = [];
  for (const [key, member] of Object.entries(type.schema.properties ?? {})) {
    const value = object[key];
    if (value === undefined || key === 'metadata' || key === 'apiVersion' || key === 'kind') continue;
    validate(member, value, key, errors, old?.[key]);
  }
  for (const key of type.schema.required ?? [])
    if (object[key] === undefined) errors.push({ type: 'Required', field: key, detail: '' });
  if (errors.some((error) => blocking.includes(error.type))) {
    errors.push({
      type: 'Invalid',
      field: '',
      value: null,
      detail:
        'some validation rules were not checked because the object was invalid; correct the existing errors to complete validation',
    });
    return errors;
  }
  validateRules(type.schema, object, old, '', errors);
  return errors;
};

/** Where a built-in kind insists on what its type calls required; elsewhere Go's zero value stands in. */
const builtinErrors = (type: ResourceType, object: KubeObject): FieldError[] => {
  if (type.toServed !== undefined) return [];
  const errors: FieldError[] = [];
  for (const key of ['spec', 'data', 'roleRef', 'subjects', 'rules'] as const) {
    const member = type.schema.properties?.[key];
    const value = object[key];
    if (member !== undefined && value !== undefined) validate(member, value, key, errors);
  }
  return errors;
};

/** Checks everything about an object, and about the change from its old version. Throws 422 with all that is wrong. */
export const checkObject = (type: ResourceType, object: KubeObject, old: KubeObject | undefined): void => {
  const errors: FieldError[] = [
    ...(old !== undefined && object.metadata === old.metadata ? [] : metadataErrors(type, object.metadata)),
    ...(old === undefined ? [] : metadataChangeErrors(object, old)),
    ...(type.isCustom ? customErrors(type, object, old) : builtinErrors(type, object)),
    ...(type.validate?.(object, old) ?? []),
  ];
  if (errors.length > 0) throw invalid(type.group, type.kind, object.metadata.name ?? '', errors);
};

/** Whether what is wanted of the object changed, which is what its generation counts. */
export const wantsOther = (type: ResourceType, object: KubeObject, old: KubeObject): boolean => {
  if (!type.isCustom) return !sameJson(object.spec, old.spec);
  return type.hasStatus ? !sameBut(object, old, 'metadata', 'status') : !sameBut(object, old, 'metadata');
};
