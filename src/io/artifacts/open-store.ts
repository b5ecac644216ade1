/** From a store's settings to the store. Libraries of object stores are loaded when one of them is used. */
import type { ArtifactStoreSettings } from '../../model/artifact-store.js';
import { filesystemStore } from './filesystem.js';
import type { ArtifactStore } from './store.js';

/** Where the pod has what its store needs. */
export type StorePlaces = Readonly<{
  /** Where the claim is mounted. */
  folder: string;
  /** Where the Secret with credentials is mounted; without one the pod's ambient identity is used. */
  credentialsFolder?: string;
  /** Who writes: the pod's UID. */
  owner: string;
}>;

/** The store. Nothing is asked of it yet: one that is away shows when it is used. */
export const openStore = async (
  settings: ArtifactStoreSettings,
  { folder, credentialsFolder, owner }: StorePlaces,
): Promise<ArtifactStore> => {
  switch (settings.driver) {
    case 'filesystem':
      return filesystemStore({ folder, claim: settings.filesystem.volumeClaimName, owner });
    case 'gcs': {
      const { gcsStore } = await import('./gcs.js');
      return gcsStore({ ...settings.gcs, ...(credentialsFolder === undefined ? {} : { credentialsFolder }) });
    }
    case 's3': {
      const { s3Store } = await import('./s3.js');
      return s3Store({ ...settings.s3, ...(credentialsFolder === undefined ? {} : { credentialsFolder }) });
    }
    default:
      return settings satisfies never;
  }
};
