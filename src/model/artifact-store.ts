/**
 * Where artifacts are kept: the settings of a store, as a Runtime's spec has them and as a Run's status records them.
 * They name Secrets and hold none.
 */
import * as t from 'io-ts';

const Filesystem = t.type({
  driver: t.literal('filesystem'),
  filesystem: t.type({ volumeClaimName: t.string }),
});

const Gcs = t.type({
  driver: t.literal('gcs'),
  gcs: t.intersection([
    t.type({ bucket: t.string }),
    t.partial({ prefix: t.string, endpoint: t.string, credentialsSecretName: t.string }),
  ]),
});

const S3 = t.type({
  driver: t.literal('s3'),
  s3: t.intersection([
    t.type({ bucket: t.string }),
    t.partial({
      prefix: t.string,
      region: t.string,
      endpoint: t.string,
      forcePathStyle: t.boolean,
      credentialsSecretName: t.string,
    }),
  ]),
});

/** One store. */
export const ArtifactStoreSettings = t.union([Filesystem, Gcs, S3]);
export type ArtifactStoreSettings = t.TypeOf<typeof ArtifactStoreSettings>;

/** A taint that a pod puts up with, as in a pod's spec. */
export const Toleration = t.partial({
  key: t.string,
  operator: t.string,
  value: t.string,
  effect: t.string,
  tolerationSeconds: t.number,
});
export type Toleration = t.TypeOf<typeof Toleration>;

/** A store as a Run's status records it: with what a pod needs to come back to it when no Runtime uses it any more. */
export const RecordedStore = t.intersection([
  ArtifactStoreSettings,
  t.partial({
    /** Account of the pod that stored there: the identity that opens a bucket where no Secret does. */
    serviceAccountName: t.string,
    /** Whom the files of a claim belong to. */
    runAsUser: t.number,
    /** Names of the Secrets that the pod's images were pulled with. */
    imagePullSecrets: t.array(t.type({ name: t.string })),
    /**
     * Taints that the pod put up with: where all nodes have one, no other pod finds a node. Its node selector is not
     * there, because the nodes it meant may be gone as well as the Runtime.
     */
    tolerations: t.array(Toleration),
  }),
]);
export type RecordedStore = t.TypeOf<typeof RecordedStore>;

/** Pull secrets that are recorded; the CRD's schema has the same number. */
export const MAX_PULL_SECRETS = 16;

/** Tolerations that are recorded; the CRD's schema has the same number. */
export const MAX_TOLERATIONS = 16;

/** Stores one Run's attempts may have used; the CRD's schema has the same number. */
export const MAX_STORES = 16;

const prefixed = (prefix: string | undefined): string => (prefix ? `/${prefix.replace(/\/+$/, '')}` : '');

/** The store in words: `claim results`, `gs://bucket/prefix`, `s3://bucket/prefix`. */
export const storeName = (settings: ArtifactStoreSettings): string => {
  switch (settings.driver) {
    case 'filesystem':
      return `claim ${settings.filesystem.volumeClaimName}`;
    case 'gcs':
      return `gs://${settings.gcs.bucket}${prefixed(settings.gcs.prefix)}`;
    case 's3':
      return `s3://${settings.s3.bucket}${prefixed(settings.s3.prefix)}`;
    default:
      return settings satisfies never;
  }
};

/** Where in the store the object of that key is, as the drivers say it. */
export const locationOf = (settings: ArtifactStoreSettings, key: string): string =>
  `${settings.driver === 'filesystem' ? settings.filesystem.volumeClaimName : storeName(settings)}/${key}`;

/** Equal for settings of one and the same place, whatever credentials lead there. */
export const storePlace = (settings: ArtifactStoreSettings): string => {
  switch (settings.driver) {
    case 'filesystem':
      return storeName(settings);
    case 'gcs':
      return `${storeName(settings)} ${settings.gcs.endpoint ?? ''}`;
    case 's3':
      return `${storeName(settings)} ${settings.s3.endpoint ?? ''}`;
    default:
      return settings satisfies never;
  }
};

/** Whether one of them is the place of this one. */
export const hasStore = (
  stores: ReadonlyArray<ArtifactStoreSettings> | undefined,
  store: ArtifactStoreSettings,
): boolean => stores?.some((each) => storePlace(each) === storePlace(store)) ?? false;

/** The name of the Secret that opens it, if it needs one. */
export const credentialsSecret = (settings: ArtifactStoreSettings): string | undefined => {
  switch (settings.driver) {
    case 'filesystem':
      return undefined;
    case 'gcs':
      return settings.gcs.credentialsSecretName;
    case 's3':
      return settings.s3.credentialsSecretName;
    default:
      return settings satisfies never;
  }
};
