/** Which groups, versions and resources are there? Legacy and aggregated discovery. */
import type { Json, JsonObject } from '../json.js';
import type { Registry } from '../resources/registry.js';
import type { ResourceType } from '../resources/resource-type.js';

/** Verbs of a stored resource. */
const storedVerbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];

/** Those of one type: namespaces go one by one. */
const verbsOf = ({ kind }: ResourceType): string[] =>
  storedVerbs.filter((verb) => kind !== 'Namespace' || verb !== 'deletecollection');

/** A resource below another one, or one that is only created and never stored. */
type Extra = Readonly<{
  group: string;
  version: string;
  plural: string;
  kind: string;
  isNamespaced: boolean;
  verbs: readonly string[];
  of?: Readonly<{ group: string; version: string }>;
  shortNames?: readonly string[];
}>;

const virtual = (group: string, plural: string, kind: string, isNamespaced = false): Extra => ({
  group,
  version: 'v1',
  plural,
  kind,
  isNamespaced,
  verbs: ['create'],
});
const sub = (
  parent: string,
  name: string,
  kind: string,
  verbs: readonly string[],
  of?: Extra['of'],
  isNamespaced = true,
): Extra => ({
  group: '',
  version: 'v1',
  plural: `${parent}/${name}`,
  kind,
  isNamespaced,
  verbs,
  ...(of === undefined ? {} : { of }),
});

/** Subresources and resources without storage. */
export const extraResources: readonly Extra[] = [
  sub('pods', 'binding', 'Binding', ['create']),
  sub('pods', 'eviction', 'Eviction', ['create'], { group: 'policy', version: 'v1' }),
  sub('pods', 'log', 'Pod', ['get']),
  sub('pods', 'portforward', 'PodPortForwardOptions', ['create', 'get']),
  sub('serviceaccounts', 'token', 'TokenRequest', ['create'], {
    group: 'authentication.k8s.io',
    version: 'v1',
  }),
  sub('namespaces', 'finalize', 'Namespace', ['update'], undefined, false),
  virtual('authentication.k8s.io', 'tokenreviews', 'TokenReview'),
  virtual('authentication.k8s.io', 'selfsubjectreviews', 'SelfSubjectReview'),
  virtual('authorization.k8s.io', 'selfsubjectaccessreviews', 'SelfSubjectAccessReview'),
  virtual('authorization.k8s.io', 'subjectaccessreviews', 'SubjectAccessReview'),
  virtual('authorization.k8s.io', 'localsubjectaccessreviews', 'LocalSubjectAccessReview', true),
  virtual('authorization.k8s.io', 'selfsubjectrulesreviews', 'SelfSubjectRulesReview'),
];

const subresourcesOf = (type: ResourceType): Extra[] => {
  const made: Extra[] = [];
  const base = {
    group: type.group,
    version: type.version,
    isNamespaced: type.isNamespaced,
    verbs: ['get', 'patch', 'update'],
  };
  if (type.hasStatus) made.push({ ...base, plural: `${type.plural}/status`, kind: type.kind });
  if (type.scale !== undefined)
    made.push({
      ...base,
      plural: `${type.plural}/scale`,
      kind: 'Scale',
      of: { group: 'autoscaling', version: 'v1' },
    });
  return made;
};

/** All extra resources of the registry's types and of the server. */
export const allExtras = (registry: Registry): Extra[] => [
  ...registry.all().flatMap(subresourcesOf),
  ...extraResources,
];

const resourceOf = (type: ResourceType): JsonObject => ({
  name: type.plural,
  singularName: type.singular,
  namespaced: type.isNamespaced,
  kind: type.kind,
  verbs: verbsOf(type),
  ...(type.shortNames.length === 0 ? {} : { shortNames: [...type.shortNames] }),
  ...(type.categories.length === 0 ? {} : { categories: [...type.categories] }),
  storageVersionHash: Buffer.from(type.storage).toString('base64').slice(0, 12),
});

const extraOf = (extra: Extra): JsonObject => ({
  name: extra.plural,
  singularName: extra.plural.includes('/') ? '' : extra.kind.toLowerCase(),
  namespaced: extra.isNamespaced,
  ...(extra.of === undefined ? {} : { group: extra.of.group, version: extra.of.version }),
  kind: extra.kind,
  verbs: [...extra.verbs],
});

/** Groups and their versions, preferred one first. */
export const groupsOf = (registry: Registry): Map<string, string[]> => {
  const groups = new Map<string, string[]>();
  for (const { group, version } of [...registry.all(), ...extraResources]) {
    const versions = groups.get(group) ?? [];
    if (!versions.includes(version)) versions.push(version);
    groups.set(group, versions);
  }
  return groups;
};

/** The resources of one group and version; undefined when there are none. */
export const resourceList = (registry: Registry, group: string, version: string): JsonObject | undefined => {
  const types = registry.all().filter((type) => type.group === group && type.version === version);
  const extras = allExtras(registry).filter((extra) => extra.group === group && extra.version === version);
  if (types.length + extras.length === 0) return undefined;
  const resources = [...types.map(resourceOf), ...extras.map(extraOf)].sort((a, b) =>
    String(a.name) < String(b.name) ? -1 : 1,
  );
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: group === '' ? version : `${group}/${version}`,
    resources,
  };
};

const groupObject = (group: string, versions: readonly string[]): JsonObject => ({
  name: group,
  versions: versions.map((version) => ({ groupVersion: `${group}/${version}`, version })),
  preferredVersion: { groupVersion: `${group}/${versions[0] ?? ''}`, version: versions[0] ?? '' },
});

/** The list of all groups but core. */
export const groupList = (registry: Registry): JsonObject => ({
  kind: 'APIGroupList',
  apiVersion: 'v1',
  groups: [...groupsOf(registry)]
    .filter(([group]) => group !== '')
    .map(([group, versions]) => groupObject(group, versions)),
});

/** One group; undefined when it is not there. */
export const oneGroup = (registry: Registry, group: string): JsonObject | undefined => {
  const versions = groupsOf(registry).get(group);
  return versions === undefined || group === ''
    ? undefined
    : { kind: 'APIGroup', apiVersion: 'v1', ...groupObject(group, versions) };
};

const aggregatedResource = (registry: Registry, type: ResourceType): JsonObject => {
  const extras = allExtras(registry).filter(
    (extra) =>
      extra.group === type.group &&
      extra.version === type.version &&
      extra.plural.startsWith(`${type.plural}/`),
  );
  const subresources: Json[] = extras.map((extra) => ({
    subresource: extra.plural.slice(type.plural.length + 1),
    responseKind: {
      group: extra.of?.group ?? extra.group,
      version: extra.of?.version ?? extra.version,
      kind: extra.kind,
    },
    verbs: [...extra.verbs],
  }));
  return {
    resource: type.plural,
    responseKind: { group: type.group, version: type.version, kind: type.kind },
    scope: type.isNamespaced ? 'Namespaced' : 'Cluster',
    singularResource: type.singular,
    verbs: verbsOf(type),
    ...(type.shortNames.length === 0 ? {} : { shortNames: [...type.shortNames] }),
    ...(type.categories.length === 0 ? {} : { categories: [...type.categories] }),
    ...(subresources.length === 0 ? {} : { subresources }),
  };
};

const aggregatedExtra = (extra: Extra): JsonObject => ({
  resource: extra.plural,
  responseKind: { group: extra.group, version: extra.version, kind: extra.kind },
  scope: extra.isNamespaced ? 'Namespaced' : 'Cluster',
  singularResource: extra.kind.toLowerCase(),
  verbs: [...extra.verbs],
});

/** Media type of aggregated discovery. */
export const aggregatedType = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';

/** Everything below /api (core) or /apis (the rest) in one document. */
export const aggregated = (registry: Registry, isCore: boolean): JsonObject => ({
  kind: 'APIGroupDiscoveryList',
  apiVersion: 'apidiscovery.k8s.io/v2',
  metadata: {},
  items: [...groupsOf(registry)]
    .filter(([group]) => (group === '') === isCore)
    .map(([group, versions]) => ({
      metadata: group === '' ? { creationTimestamp: null } : { name: group, creationTimestamp: null },
      versions: versions.map((version) => ({
        version,
        freshness: 'Current',
        resources: [
          ...registry
            .all()
            .filter((type) => type.group === group && type.version === version)
            .map((type) => aggregatedResource(registry, type)),
          ...extraResources
            .filter(
              (extra) => extra.group === group && extra.version === version && !extra.plural.includes('/'),
            )
            .map(aggregatedExtra),
        ],
      })),
    })),
});

/** `/api`. */
export const coreVersions = (): JsonObject => ({
  kind: 'APIVersions',
  versions: ['v1'],
  serverAddressByClientCIDRs: [],
});

/** Version the server says it is: a Kubernetes release that clients from 1.32 to 1.34 accept without a warning. */
export const serverVersion: JsonObject = {
  major: '1',
  minor: '33',
  gitVersion: 'v1.33.0+kruntimes',
  gitCommit: '',
  gitTreeState: 'clean',
  buildDate: '1970-01-01T00:00:00Z',
  goVersion: '',
  compiler: '',
  platform: `${process.platform}/${process.arch === 'x64' ? 'amd64' : process.arch}`,
};
