/** What the tables of built-in kinds show besides the name (Pods: `pods.ts`). */
import type { Json, JsonObject } from '../json.js';
import { arrayOf, at, isObject, objectOf, textOf, textsOf } from '../json.js';
import { ageOf } from '../table/age.js';
import { ageColumn } from '../table/table.js';
import type { Column } from './resource-type.js';

const column = (
  name: string,
  description: string,
  cell: Column['cell'],
  priority = 0,
  type: Column['type'] = 'string',
): Column => ({
  name,
  type,
  description,
  priority,
  cell,
});

const size = (value: Json | undefined): number =>
  Array.isArray(value) ? value.length : Object.keys(objectOf(value)).length;

const lastSeen = (event: JsonObject): string =>
  textOf(objectOf(event.series).lastObservedTime) ||
  textOf(event.lastTimestamp) ||
  textOf(event.eventTime) ||
  textOf(event.firstTimestamp);
const firstSeen = (event: JsonObject): string => textOf(event.firstTimestamp) || textOf(event.eventTime);

const eventObject = (event: JsonObject): string => {
  const { kind, name } = objectOf(event.involvedObject);
  return `${textOf(kind).toLowerCase()}/${textOf(name)}`;
};

const nodeStatus = (node: JsonObject): string => {
  const ready = arrayOf(objectOf(node.status).conditions).find((item) => objectOf(item).type === 'Ready');
  const state = ready === undefined ? 'Unknown' : objectOf(ready).status === 'True' ? 'Ready' : 'NotReady';
  return objectOf(node.spec).unschedulable === true ? `${state},SchedulingDisabled` : state;
};

const nodeRoles = (node: JsonObject): string =>
  Object.keys(objectOf(objectOf(node.metadata).labels))
    .filter((label) => label.startsWith('node-role.kubernetes.io/'))
    .map((label) => label.slice('node-role.kubernetes.io/'.length))
    .join(',') || '<none>';

const nodeAddress =
  (kind: string) =>
  (node: JsonObject): string =>
    textOf(
      objectOf(arrayOf(objectOf(node.status).addresses).find((item) => objectOf(item).type === kind)).address,
    ) || '<none>';
const nodeInfo =
  (name: string) =>
  (node: JsonObject): string =>
    textOf(at(node, 'status', 'nodeInfo', name)) || '<unknown>';

const selectorText = (selector: Json | undefined): string =>
  Object.entries(objectOf(selector))
    .map(([key, value]) => `${key}=${textOf(value)}`)
    .join(',') || '<none>';

const servicePorts = (service: JsonObject): string =>
  arrayOf(objectOf(service.spec).ports)
    .filter(isObject)
    .map(
      ({ port, nodePort, protocol }) =>
        `${Number(port)}${nodePort === undefined ? '' : `:${Number(nodePort)}`}/${textOf(protocol) || 'TCP'}`,
    )
    .join(',') || '<none>';

const addresses = (endpoints: JsonObject): string =>
  arrayOf(endpoints.subsets)
    .filter(isObject)
    .flatMap(({ addresses: list, ports }) =>
      arrayOf(list).flatMap((item) =>
        arrayOf(ports).map((port) => `${textOf(objectOf(item).ip)}:${Number(objectOf(port).port)}`),
      ),
    )
    .slice(0, 3)
    .join(',') || '<none>';

const roleRef = column(
  'Role',
  'Role that is granted.',
  (binding) => `${textOf(at(binding, 'roleRef', 'kind'))}/${textOf(at(binding, 'roleRef', 'name'))}`,
);
const created: Column = column(
  'Created At',
  'When the object was created.',
  (object) => textOf(objectOf(object.metadata).creationTimestamp),
  0,
  'string',
);

/** Columns by kind; kinds that are not here show the age alone. */
export const builtinColumns: Readonly<Record<string, readonly Column[]>> = {
  Namespace: [
    column('Status', 'Active or Terminating.', (it) => textOf(objectOf(it.status).phase)),
    ageColumn,
  ],
  Service: [
    column('Type', 'How it is reached.', (it) => textOf(objectOf(it.spec).type)),
    column('Cluster-IP', 'Its address.', (it) => textOf(objectOf(it.spec).clusterIP) || '<none>'),
    column('External-IP', 'Its address from outside.', () => '<none>'),
    column('Port(s)', 'Its ports.', servicePorts),
    ageColumn,
    column('Selector', 'Pods behind it.', (it) => selectorText(objectOf(it.spec).selector), 1),
  ],
  Endpoints: [column('Endpoints', 'Addresses behind it.', addresses), ageColumn],
  ConfigMap: [column('Data', 'Number of entries.', (it) => size(it.data) + size(it.binaryData)), ageColumn],
  Secret: [
    column('Type', 'What it is for.', (it) => textOf(it.type)),
    column('Data', 'Number of entries.', (it) => size(it.data)),
    ageColumn,
  ],
  ServiceAccount: [column('Secrets', 'Number of secrets.', (it) => size(it.secrets)), ageColumn],
  Event: [
    column('Last Seen', 'Time since it was last seen.', (it, now) => ageOf(lastSeen(it), now)),
    column('Type', 'Normal or Warning.', (it) => textOf(it.type)),
    column('Reason', 'Why, as one word.', (it) => textOf(it.reason)),
    column('Object', 'What it is about.', eventObject),
    column(
      'Subobject',
      'Part of what it is about.',
      (it) => textOf(at(it, 'involvedObject', 'fieldPath')),
      1,
    ),
    column(
      'Source',
      'Who says so.',
      (it) =>
        [
          textOf(at(it, 'source', 'component')) || textOf(it.reportingComponent),
          textOf(at(it, 'source', 'host')),
        ]
          .filter((text) => text !== '')
          .join(', '),
      1,
    ),
    column('Message', 'Why, for people.', (it) => textOf(it.message).trim()),
    column('First Seen', 'Time since it was first seen.', (it, now) => ageOf(firstSeen(it), now), 1),
    column(
      'Count',
      'How often it was seen.',
      (it) => (typeof it.count === 'number' ? it.count : 1),
      1,
      'integer',
    ),
    column('Name', 'Name of the event.', (it) => textOf(objectOf(it.metadata).name), 1),
  ],
  Node: [
    column('Status', 'Whether it takes Pods.', nodeStatus),
    column('Roles', 'What it is for.', nodeRoles),
    ageColumn,
    column('Version', 'Version of its kubelet.', nodeInfo('kubeletVersion')),
    column('Internal-IP', 'Its address.', nodeAddress('InternalIP'), 1),
    column('External-IP', 'Its address from outside.', nodeAddress('ExternalIP'), 1),
    column('OS-Image', 'Its system.', nodeInfo('osImage'), 1),
    column('Kernel-Version', "Its system's kernel.", nodeInfo('kernelVersion'), 1),
    column('Container-Runtime', 'What runs its containers.', nodeInfo('containerRuntimeVersion'), 1),
  ],
  PersistentVolumeClaim: [
    column('Status', 'Bound or not.', (it) => textOf(objectOf(it.status).phase)),
    column('Volume', 'Volume it has.', (it) => textOf(objectOf(it.spec).volumeName)),
    column('Capacity', 'Size it has.', (it) => textOf(at(it, 'status', 'capacity', 'storage'))),
    column('Access Modes', 'How it can be mounted.', (it) =>
      textsOf(objectOf(it.spec).accessModes).join(','),
    ),
    column('StorageClass', 'Class of its storage.', (it) => textOf(objectOf(it.spec).storageClassName)),
    ageColumn,
  ],
  Lease: [column('Holder', 'Who holds it.', (it) => textOf(objectOf(it.spec).holderIdentity)), ageColumn],
  Role: [created],
  ClusterRole: [created],
  RoleBinding: [roleRef, ageColumn],
  ClusterRoleBinding: [roleRef, ageColumn],
  PodDisruptionBudget: [
    column('Min Available', 'Pods that must stay.', (it) => String(objectOf(it.spec).minAvailable ?? 'N/A')),
    column('Max Unavailable', 'Pods that may be missing.', (it) =>
      String(objectOf(it.spec).maxUnavailable ?? 'N/A'),
    ),
    column(
      'Allowed Disruptions',
      'Pods that may go now.',
      (it) => Number(objectOf(it.status).disruptionsAllowed ?? 0),
      0,
      'integer',
    ),
    ageColumn,
  ],
  CustomResourceDefinition: [created],
};
