/** The scale subresource of a custom resource: autoscaling/v1 Scale as a view of its replicas. */
import { badRequest, conflict, invalid } from '../errors.js';
import type { Json, JsonObject } from '../json.js';
import { at, isObject, objectOf, textOf, withAt } from '../json.js';
import type { KubeObject } from '../object.js';
import { isKubeObject } from '../object.js';
import { jsonPatch } from '../patch/json-patch.js';
import { mergePatch } from '../patch/merge-patch.js';
import type { ScalePaths } from '../resources/resource-type.js';
import { refOf } from '../resources/resource-type.js';
import type { Answer, Call } from '../verbs/call.js';
import { currentOf, updateObject } from '../verbs/update.js';

const numberAt = (object: KubeObject, path: readonly string[]): number => {
  const value = at(object, ...path);
  return typeof value === 'number' ? value : 0;
};

/** The Scale of an object. */
export const scaleOf = (object: KubeObject, paths: ScalePaths): KubeObject => {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  const selector = paths.selector === undefined ? '' : textOf(at(object, ...paths.selector));
  const metadata: JsonObject = { name, namespace, uid, resourceVersion, creationTimestamp };
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata,
    spec: { replicas: numberAt(object, paths.replicas) },
    status: { replicas: numberAt(object, paths.status), ...(selector === '' ? {} : { selector }) },
  };
};

const writeScale = (call: Call, paths: ScalePaths, scale: Json): Answer => {
  const current = currentOf(call).object;
  if (!isObject(scale) || scale.kind !== 'Scale')
    throw badRequest('the body must be an autoscaling/v1 Scale');
  const replicas = objectOf(scale.spec).replicas ?? 0;
  if (typeof replicas !== 'number' || !Number.isInteger(replicas) || replicas < 0) {
    throw invalid('autoscaling', 'Scale', call.info.name, [
      {
        type: 'Invalid',
        field: 'spec.replicas',
        value: replicas,
        detail: 'must be greater than or equal to 0',
      },
    ]);
  }
  const version = textOf(objectOf(scale.metadata).resourceVersion);
  if (version !== '' && version !== current.metadata.resourceVersion)
    throw conflict(refOf(call.type), call.info.name);
  const changed = withAt(current, paths.replicas, replicas);
  if (!isKubeObject(changed)) throw badRequest('the object cannot be scaled');
  const answer = updateObject(call, changed, current);
  return { code: answer.code, object: scaleOf(answer.object, paths) };
};

/** GET, PUT and PATCH of `<resource>/NAME/scale`. */
export const serveScale = (call: Call, paths: ScalePaths, body: Json): Answer => {
  const current = currentOf(call).object;
  const scale = scaleOf(current, paths);
  switch (call.info.verb) {
    case 'get':
      return { code: 200, object: scale };
    case 'update':
      return writeScale(call, paths, body);
    default:
      return writeScale(
        call,
        paths,
        call.contentType === 'application/json-patch+json' ? jsonPatch(scale, body) : mergePatch(scale, body),
      );
  }
};
