/** Pods: defaults, what may change, and what the table shows. */
import type { FieldError } from '../errors.js';
import type { Json, JsonObject } from '../json.js';
import { arrayOf, isObject, objectOf, sameJson, textOf, without } from '../json.js';
import type { KubeObject } from '../object.js';
import { ageOf, humanDuration } from '../table/age.js';
import type { Column } from './resource-type.js';

/** Members that are missing are taken from the defaults. */
const fill = (object: JsonObject, defaults: JsonObject): JsonObject => {
  let copy: JsonObject | undefined;
  for (const [key, value] of Object.entries(defaults)) {
    if (object[key] !== undefined && object[key] !== null) continue;
    copy ??= { ...object };
    copy[key] = value;
  }
  return copy ?? object;
};

const mapObjects = (list: Json | undefined, change: (item: JsonObject) => JsonObject): Json[] =>
  arrayOf(list).map((item) => (isObject(item) ? change(item) : item));

const withMapped = (object: JsonObject, key: string, change: (item: JsonObject) => JsonObject): JsonObject =>
  Array.isArray(object[key]) ? { ...object, [key]: mapObjects(object[key], change) } : object;

const withChanged = (
  object: JsonObject,
  key: string,
  change: (inner: JsonObject) => JsonObject,
): JsonObject => {
  const inner = object[key];
  return isObject(inner) ? { ...object, [key]: change(inner) } : object;
};

const probe = (value: JsonObject): JsonObject =>
  withChanged(
    withChanged(
      fill(value, { timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 3 }),
      'httpGet',
      (get) => fill(get, { path: '/', scheme: 'HTTP' }),
    ),
    'grpc',
    (grpc) => fill(grpc, { service: '' }),
  );

const pullPolicy = (image: string): string => {
  const tag = /:([^:/@]+)$/.exec(image.split('@')[0] ?? '')?.[1];
  return !image.includes('@') && (tag === undefined || tag === 'latest') ? 'Always' : 'IfNotPresent';
};

const container = (value: JsonObject): JsonObject => {
  let filled = fill(value, {
    imagePullPolicy: pullPolicy(textOf(value.image)),
    resources: {},
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: 'File',
  });
  filled = withMapped(filled, 'ports', (port) => fill(port, { protocol: 'TCP' }));
  filled = withMapped(filled, 'env', (variable) =>
    withChanged(variable, 'valueFrom', (from) =>
      withChanged(from, 'fieldRef', (ref) => fill(ref, { apiVersion: 'v1' })),
    ),
  );
  for (const name of ['livenessProbe', 'readinessProbe', 'startupProbe'])
    filled = withChanged(filled, name, probe);
  return filled;
};

const volume = (value: JsonObject): JsonObject => {
  let filled =
    Object.keys(value).length === 1 && value.name !== undefined ? { ...value, emptyDir: {} } : value;
  for (const source of ['configMap', 'secret', 'projected', 'downwardAPI'])
    filled = withChanged(filled, source, (inner) => fill(inner, { defaultMode: 420 }));
  filled = withChanged(filled, 'hostPath', (inner) => fill(inner, { type: '' }));
  const fieldRefs = (inner: JsonObject): JsonObject =>
    withMapped(inner, 'items', (item) =>
      withChanged(item, 'fieldRef', (ref) => fill(ref, { apiVersion: 'v1' })),
    );
  filled = withChanged(filled, 'downwardAPI', fieldRefs);
  return withChanged(filled, 'projected', (projected) =>
    withMapped(projected, 'sources', (source) =>
      withChanged(
        withChanged(source, 'serviceAccountToken', (token) => fill(token, { expirationSeconds: 3600 })),
        'downwardAPI',
        fieldRefs,
      ),
    ),
  );
};

/** Fills in the defaults of a PodSpec. */
export const defaultPodSpec = (spec: JsonObject): JsonObject => {
  let filled = fill(spec, {
    restartPolicy: 'Always',
    terminationGracePeriodSeconds: 30,
    dnsPolicy: 'ClusterFirst',
    securityContext: {},
    schedulerName: 'default-scheduler',
    enableServiceLinks: true,
  });
  for (const name of ['containers', 'initContainers', 'ephemeralContainers'])
    filled = withMapped(filled, name, container);
  return withMapped(filled, 'volumes', volume);
};

/** Fills in the defaults of a Pod. */
export const defaultPod = (pod: KubeObject): KubeObject =>
  isObject(pod.spec) ? { ...pod, spec: defaultPodSpec(pod.spec) } : pod;

const qosClass = (spec: JsonObject): string => {
  const resources = [...arrayOf(spec.containers), ...arrayOf(spec.initContainers)].map((item) =>
    objectOf(objectOf(item).resources),
  );
  const of = (name: string): JsonObject[] => resources.map((item) => objectOf(item[name]));
  const isEmpty = (item: JsonObject): boolean => item.cpu === undefined && item.memory === undefined;
  if (of('limits').every(isEmpty) && of('requests').every(isEmpty)) return 'BestEffort';
  const isGuaranteed = resources.every((item) => {
    const limits = objectOf(item.limits);
    const requests = { ...limits, ...objectOf(item.requests) };
    return ['cpu', 'memory'].every(
      (name) => limits[name] !== undefined && sameJson(limits[name], requests[name]),
    );
  });
  return isGuaranteed ? 'Guaranteed' : 'Burstable';
};

/** What a new Pod starts with. */
export const prepareNewPod = (pod: KubeObject): KubeObject => ({
  ...pod,
  status: { phase: 'Pending', qosClass: qosClass(objectOf(pod.spec)) },
});

/** Whether a Pod has ended for good. */
export const hasEnded = (pod: JsonObject): boolean => {
  const phase = objectOf(pod.status).phase;
  return phase === 'Succeeded' || phase === 'Failed';
};

/** The parts of a PodSpec that must stay as they are. */
const fixedPart = (spec: JsonObject): JsonObject => {
  const bare = without(
    spec,
    'activeDeadlineSeconds',
    'tolerations',
    'terminationGracePeriodSeconds',
    'ephemeralContainers',
    'schedulingGates',
  );
  const images = (name: string): JsonObject =>
    bare[name] === undefined
      ? {}
      : { [name]: mapObjects(bare[name], (item) => without(item, 'image', 'resources')) };
  return { ...bare, ...images('containers'), ...images('initContainers') };
};

const label = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;

const containerErrors = (spec: JsonObject): FieldError[] => {
  const errors: FieldError[] = [];
  const names = new Set<string>();
  const volumes = new Set(arrayOf(spec.volumes).map((item) => textOf(objectOf(item).name)));
  for (const list of ['initContainers', 'containers']) {
    arrayOf(spec[list]).forEach((item, i) => {
      const path = `spec.${list}[${i}]`;
      const { name, image } = objectOf(item);
      if (textOf(name) !== '' && (!label.test(textOf(name)) || textOf(name).length > 63)) {
        errors.push({
          type: 'Invalid',
          field: `${path}.name`,
          value: name,
          detail:
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
        });
      }
      if (names.has(textOf(name)))
        errors.push({ type: 'Duplicate', field: `${path}.name`, value: name, detail: '' });
      names.add(textOf(name));
      if (textOf(image) === '') errors.push({ type: 'Required', field: `${path}.image`, detail: '' });
      arrayOf(objectOf(item).volumeMounts).forEach((mount, k) => {
        const mounted = textOf(objectOf(mount).name);
        if (!volumes.has(mounted))
          errors.push({
            type: 'Invalid',
            field: `${path}.volumeMounts[${k}].name`,
            value: mounted,
            detail: `Not found: "${mounted}"`,
          });
      });
    });
  }
  return errors;
};

/** What is wrong with a Pod, or with a change of it. */
export const podErrors = (pod: KubeObject, old: KubeObject | undefined): FieldError[] => {
  const spec = objectOf(pod.spec);
  if (old !== undefined) {
    const oldSpec = objectOf(old.spec);
    if (spec === oldSpec || sameJson(fixedPart(spec), fixedPart(oldSpec))) return [];
    return [
      {
        type: 'Forbidden',
        field: 'spec',
        detail:
          'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)',
      },
    ];
  }
  if (arrayOf(spec.containers).length === 0)
    return [{ type: 'Required', field: 'spec.containers', detail: '' }];
  return containerErrors(spec);
};

const statuses = (pod: JsonObject): JsonObject[] =>
  arrayOf(objectOf(pod.status).containerStatuses).filter(isObject);

const statusCell = (pod: JsonObject): string => {
  const status = objectOf(pod.status);
  let reason = textOf(status.reason) || textOf(status.phase) || 'Pending';
  let hasRunning = false;
  for (const { state, ready } of [...statuses(pod)].reverse()) {
    const { waiting, terminated, running } = objectOf(state);
    const waitingReason = textOf(objectOf(waiting).reason);
    const ended = objectOf(terminated);
    if (waitingReason !== '') reason = waitingReason;
    else if (terminated !== undefined) {
      const signal = Number(ended.signal ?? 0);
      reason =
        textOf(ended.reason) ||
        (signal !== 0 ? `Signal:${signal}` : `ExitCode:${Number(ended.exitCode ?? 0)}`);
    } else if (running !== undefined && ready === true) hasRunning = true;
  }
  if (reason === 'Completed' && hasRunning) reason = 'Running';
  if (objectOf(pod.metadata).deletionTimestamp === undefined) return reason;
  return textOf(status.reason) === 'NodeLost' ? 'Unknown' : 'Terminating';
};

const restartsCell = (pod: JsonObject, nowMs: number): string => {
  const all = statuses(pod);
  const count = all.reduce((sum, { restartCount }) => sum + Number(restartCount ?? 0), 0);
  const last = all
    .map(({ lastState }) => Date.parse(textOf(objectOf(objectOf(lastState).terminated).finishedAt)))
    .filter((ms) => !Number.isNaN(ms));
  return count === 0 || last.length === 0
    ? String(count)
    : `${count} (${humanDuration(nowMs - Math.max(...last))} ago)`;
};

const orNone = (value: Json | undefined): string => textOf(value) || '<none>';

/** Columns of `kubectl get pods`. */
export const podColumns: readonly Column[] = [
  {
    name: 'Ready',
    type: 'string',
    description: 'Containers that are ready, of all.',
    cell: (pod) =>
      `${statuses(pod).filter(({ ready }) => ready === true).length}/${arrayOf(objectOf(pod.spec).containers).length}`,
  },
  { name: 'Status', type: 'string', description: 'State in one word.', cell: statusCell },
  { name: 'Restarts', type: 'string', description: 'Restarts of all containers.', cell: restartsCell },
  {
    name: 'Age',
    type: 'string',
    description: 'Time since the object was created.',
    cell: (pod, nowMs) => ageOf(objectOf(pod.metadata).creationTimestamp, nowMs),
  },
  {
    name: 'IP',
    type: 'string',
    priority: 1,
    description: 'Address.',
    cell: (pod) => orNone(objectOf(pod.status).podIP),
  },
  {
    name: 'Node',
    type: 'string',
    priority: 1,
    description: 'Node it runs on.',
    cell: (pod) => orNone(objectOf(pod.spec).nodeName),
  },
  {
    name: 'Nominated Node',
    type: 'string',
    priority: 1,
    description: 'Node it is promised.',
    cell: (pod) => orNone(objectOf(pod.status).nominatedNodeName),
  },
  {
    name: 'Readiness Gates',
    type: 'string',
    priority: 1,
    description: 'Conditions that must hold before it is ready.',
    cell: (pod) => {
      const gates = arrayOf(objectOf(pod.spec).readinessGates).map((gate) =>
        textOf(objectOf(gate).conditionType),
      );
      if (gates.length === 0) return '<none>';
      const isTrue = (type: string): boolean =>
        arrayOf(objectOf(pod.status).conditions).some(
          (condition) => objectOf(condition).type === type && objectOf(condition).status === 'True',
        );
      return `${gates.filter(isTrue).length}/${gates.length}`;
    },
  },
];
