/**
 * A Pod as the process kubelet reads it: no more than it acts on. Unknown fields are kept and ignored.
 */
import * as t from 'io-ts';

const strings = t.record(t.string, t.string);
const IntOrString = t.union([t.number, t.string]);

const KeySelector = t.intersection([
  t.type({ key: t.string }),
  t.partial({ name: t.string, optional: t.boolean }),
]);
const FieldSelector = t.type({ fieldPath: t.string });
const ResourceSelector = t.intersection([
  t.type({ resource: t.string }),
  t.partial({ containerName: t.string, divisor: IntOrString }),
]);

/** One entry of `env`. */
export const EnvVar = t.intersection([
  t.type({ name: t.string }),
  t.partial({
    value: t.string,
    valueFrom: t.partial({
      fieldRef: FieldSelector,
      resourceFieldRef: ResourceSelector,
      configMapKeyRef: KeySelector,
      secretKeyRef: KeySelector,
    }),
  }),
]);
export type EnvVar = t.TypeOf<typeof EnvVar>;

const NamedSource = t.partial({ name: t.string, optional: t.boolean });

/** One entry of `envFrom`. */
const EnvFrom = t.partial({ prefix: t.string, configMapRef: NamedSource, secretRef: NamedSource });

/** A startup, readiness or liveness probe; all times in seconds. */
export const Probe = t.partial({
  exec: t.partial({ command: t.array(t.string) }),
  httpGet: t.intersection([
    t.type({ port: IntOrString }),
    t.partial({
      path: t.string,
      scheme: t.string,
      host: t.string,
      httpHeaders: t.array(t.type({ name: t.string, value: t.string })),
    }),
  ]),
  tcpSocket: t.intersection([t.type({ port: IntOrString }), t.partial({ host: t.string })]),
  grpc: t.intersection([t.type({ port: t.number }), t.partial({ service: t.union([t.string, t.null]) })]),
  initialDelaySeconds: t.number,
  periodSeconds: t.number,
  timeoutSeconds: t.number,
  successThreshold: t.number,
  failureThreshold: t.number,
  terminationGracePeriodSeconds: t.number,
});
export type Probe = t.TypeOf<typeof Probe>;

const LifecycleHandler = t.partial({ exec: t.partial({ command: t.array(t.string) }) });

const VolumeMount = t.intersection([
  t.type({ name: t.string, mountPath: t.string }),
  t.partial({ subPath: t.string, readOnly: t.boolean }),
]);

/** A container or an init container. */
export const Container = t.intersection([
  t.type({ name: t.string }),
  t.partial({
    image: t.string,
    command: t.array(t.string),
    args: t.array(t.string),
    workingDir: t.string,
    env: t.array(EnvVar),
    envFrom: t.array(EnvFrom),
    ports: t.array(t.intersection([t.type({ containerPort: t.number }), t.partial({ name: t.string })])),
    volumeMounts: t.array(VolumeMount),
    resources: t.partial({
      limits: t.record(t.string, IntOrString),
      requests: t.record(t.string, IntOrString),
    }),
    startupProbe: Probe,
    readinessProbe: Probe,
    livenessProbe: Probe,
    lifecycle: t.partial({ preStop: LifecycleHandler, postStart: LifecycleHandler }),
    restartPolicy: t.string,
  }),
]);
export type Container = t.TypeOf<typeof Container>;

const Item = t.intersection([t.type({ key: t.string, path: t.string }), t.partial({ mode: t.number })]);
const DownwardItem = t.intersection([
  t.type({ path: t.string }),
  t.partial({ fieldRef: FieldSelector, resourceFieldRef: ResourceSelector, mode: t.number }),
]);
const ConfigMapSource = t.partial({
  name: t.string,
  items: t.array(Item),
  optional: t.boolean,
  defaultMode: t.number,
});
const DownwardSource = t.partial({ items: t.array(DownwardItem), defaultMode: t.number });

/** One entry of a projected volume's `sources`. */
export const ProjectedSource = t.partial({
  serviceAccountToken: t.intersection([
    t.type({ path: t.string }),
    t.partial({ audience: t.string, expirationSeconds: t.number }),
  ]),
  configMap: ConfigMapSource,
  secret: ConfigMapSource,
  downwardAPI: DownwardSource,
});
export type ProjectedSource = t.TypeOf<typeof ProjectedSource>;

/** A volume, as far as this kubelet can provide one. */
export const Volume = t.intersection([
  t.type({ name: t.string }),
  t.partial({
    emptyDir: t.UnknownRecord,
    hostPath: t.intersection([t.type({ path: t.string }), t.partial({ type: t.string })]),
    configMap: ConfigMapSource,
    secret: t.partial({
      secretName: t.string,
      items: t.array(Item),
      optional: t.boolean,
      defaultMode: t.number,
    }),
    downwardAPI: DownwardSource,
    projected: t.partial({ sources: t.array(ProjectedSource), defaultMode: t.number }),
    persistentVolumeClaim: t.type({ claimName: t.string }),
  }),
]);
export type Volume = t.TypeOf<typeof Volume>;

/** A condition of a Pod, of whichever owner. */
export const Condition = t.intersection([
  t.type({ type: t.string, status: t.string }),
  t.partial({
    reason: t.string,
    message: t.string,
    lastTransitionTime: t.union([t.string, t.null]),
    lastProbeTime: t.union([t.string, t.null]),
  }),
]);
export type Condition = t.TypeOf<typeof Condition>;

const Terminated = t.intersection([
  t.type({ exitCode: t.number }),
  t.partial({
    reason: t.string,
    message: t.string,
    signal: t.number,
    startedAt: t.union([t.string, t.null]),
    finishedAt: t.union([t.string, t.null]),
    containerID: t.string,
  }),
]);

/** What an earlier life of this kubelet wrote about a container. */
export const WrittenContainerStatus = t.intersection([
  t.type({ name: t.string }),
  t.partial({
    restartCount: t.number,
    containerID: t.string,
    state: t.partial({
      running: t.partial({ startedAt: t.union([t.string, t.null]) }),
      terminated: Terminated,
      waiting: t.partial({ reason: t.string, message: t.string }),
    }),
    lastState: t.partial({ terminated: Terminated }),
  }),
]);
export type WrittenContainerStatus = t.TypeOf<typeof WrittenContainerStatus>;

/** A Pod of any phase. */
export const Pod = t.intersection([
  t.type({
    metadata: t.intersection([
      t.type({ name: t.string, namespace: t.string, uid: t.string }),
      t.partial({
        resourceVersion: t.string,
        labels: strings,
        annotations: strings,
        deletionTimestamp: t.string,
        deletionGracePeriodSeconds: t.number,
      }),
    ]),
    spec: t.intersection([
      t.type({ containers: t.array(Container) }),
      t.partial({
        initContainers: t.array(Container),
        volumes: t.array(Volume),
        nodeName: t.string,
        nodeSelector: strings,
        restartPolicy: t.string,
        serviceAccountName: t.string,
        terminationGracePeriodSeconds: t.number,
        readinessGates: t.array(t.type({ conditionType: t.string })),
        schedulingGates: t.array(t.type({ name: t.string })),
        schedulerName: t.string,
      }),
    ]),
  }),
  t.partial({
    status: t.partial({
      phase: t.string,
      reason: t.string,
      message: t.string,
      startTime: t.union([t.string, t.null]),
      conditions: t.array(Condition),
      initContainerStatuses: t.array(WrittenContainerStatus),
      containerStatuses: t.array(WrittenContainerStatus),
    }),
  }),
]);
export type Pod = t.TypeOf<typeof Pod>;

/** Whether an init container keeps running beside the main ones. */
export const isSidecar = (container: Container): boolean => container.restartPolicy === 'Always';

/** `namespace/name`, for logs and messages. */
export const podKey = (pod: Pod): string => `${pod.metadata.namespace}/${pod.metadata.name}`;

/** Whether the Pod has ended for good and nothing of it is to run any more. */
export const isFinished = (pod: Pod): boolean =>
  pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';

/** Time the Pod's containers have between SIGTERM and SIGKILL, seconds. */
export const graceSeconds = (pod: Pod): number =>
  pod.metadata.deletionGracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds ?? 30;
