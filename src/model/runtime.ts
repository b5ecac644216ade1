/** A Runtime as the API holds it, as far as the operator reads it. */
import * as t from 'io-ts';

import { ArtifactStoreSettings, Toleration } from './artifact-store.js';
import { GitSpec } from './git.js';
import { LogSettings } from './log-bounds.js';
import { Condition, Metadata } from './metadata.js';
import { Amounts } from './run.js';

const Port = t.partial({ containerPort: t.number, name: t.string, protocol: t.string });
const EnvVar = t.intersection([t.type({ name: t.string }), t.partial({ value: t.string })]);
const Named = t.type({ name: t.string });

/** One container of the template. Fields that we only pass on stay as they are. */
export const Container = t.intersection([
  t.type({ name: t.string }),
  t.partial({
    image: t.string,
    ports: t.array(Port),
    env: t.array(EnvVar),
    volumeMounts: t.array(Named),
  }),
]);
export type Container = t.TypeOf<typeof Container>;

/** The Pod template. */
export const PodTemplate = t.intersection([
  t.type({
    spec: t.intersection([
      t.type({ containers: t.array(Container) }),
      t.partial({
        serviceAccountName: t.string,
        terminationGracePeriodSeconds: t.number,
        volumes: t.array(Named),
        initContainers: t.array(Container),
      }),
    ]),
  }),
  t.partial({
    metadata: t.partial({
      labels: t.record(t.string, t.string),
      annotations: t.record(t.string, t.string),
    }),
  }),
]);
export type PodTemplate = t.TypeOf<typeof PodTemplate>;

/** Entries of a list in the template's spec; those that are none are for the API server to refuse. */
const entriesOf = ({ spec }: PodTemplate, field: string): ReadonlyArray<unknown> => {
  const given = (spec as Readonly<Record<string, unknown>>)[field];
  return Array.isArray(given) ? given : [];
};

/** Secrets that the template's images are pulled with. */
export const pullSecrets = (template: PodTemplate): ReadonlyArray<Readonly<{ name: string }>> =>
  entriesOf(template, 'imagePullSecrets')
    .filter(Named.is)
    .map(({ name }) => ({ name }));

/** Taints that the template puts up with. */
export const tolerationsOf = (template: PodTemplate): ReadonlyArray<Toleration> =>
  entriesOf(template, 'tolerations').filter(Toleration.is);

/** spec of a Runtime. */
export const RuntimeSpec = t.intersection([
  t.type({ template: PodTemplate }),
  t.partial({
    replicas: t.number,
    capacity: t.partial({ resources: Amounts }),
    port: t.number,
    daemonImage: t.string,
    workspace: t.UnknownRecord,
    logs: LogSettings,
    artifactStore: ArtifactStoreSettings,
    git: GitSpec,
  }),
]);
export type RuntimeSpec = t.TypeOf<typeof RuntimeSpec>;

/** status of a Runtime. */
export const RuntimeStatus = t.partial({
  replicas: t.number,
  readyReplicas: t.number,
  capacity: Amounts,
  allocated: Amounts,
  busy: t.string,
  selector: t.string,
  observedGeneration: t.number,
  conditions: t.array(Condition),
});
export type RuntimeStatus = t.TypeOf<typeof RuntimeStatus>;

/** A whole Runtime. */
export const Runtime = t.intersection([
  t.type({ metadata: Metadata, spec: RuntimeSpec }),
  t.partial({ status: RuntimeStatus }),
]);
export type Runtime = t.TypeOf<typeof Runtime>;

/** Port a Runtime Server listens on where nothing says otherwise (contract, spec.port). */
export const DEFAULT_PORT = 9091;

/** The Runtime Server's gRPC port: spec.port, else the runtime container's first containerPort, else 9091. */
export const serverPort = (spec: RuntimeSpec): number =>
  spec.port ??
  spec.template.spec.containers[0]?.ports?.find((p) => p.containerPort !== undefined)?.containerPort ??
  DEFAULT_PORT;

/** Concurrent Runs of one pod where nothing says otherwise (contract, capacity.resources). */
export const DEFAULT_RUNS = 2;

/** Logical resources of one pod, `runs` defaulted to 2. */
export const podCapacity = (spec: RuntimeSpec): Amounts => ({
  runs: DEFAULT_RUNS,
  ...spec.capacity?.resources,
});
