import { expect } from 'chai';

import { cleanupPodOf } from '../../src/decide/cleanup/cleanup-pod.js';
import type { RecordedStore } from '../../src/model/artifact-store.js';

const settings = {
  daemonImage: 'registry.example/kruntimes-runtimed:1',
  operatorUrl: 'https://kruntimes-sessions.kruntimes.svc:9443',
  operatorCa: 'PEM',
};
type Named = Readonly<{ name: string; [key: string]: unknown }>;
type MadePod = Readonly<{
  spec: Readonly<{
    containers: ReadonlyArray<Named & Readonly<{ volumeMounts: ReadonlyArray<Named> }>>;
    volumes: ReadonlyArray<Named>;
    [key: string]: unknown;
  }>;
}>;
const made = (store: RecordedStore): MadePod =>
  cleanupPodOf('team', 'kruntimes-cleanup-abc', store, settings) as MadePod;
const CLAIM = { driver: 'filesystem', filesystem: { volumeClaimName: 'claim' } } as const;
const GCS = { driver: 'gcs', gcs: { bucket: 'b', credentialsSecretName: 'key' } } as const;

describe('cleanupPodOf', () => {
  for (const [what, store, expected] of [
    ['nothing that the store does not ask for', CLAIM, {}],
    [
      'the account that opens a bucket',
      { ...GCS, serviceAccountName: 'builder' },
      { serviceAccountName: 'builder' },
    ],
    [
      'the Secrets that images are pulled with',
      { ...CLAIM, imagePullSecrets: [{ name: 'pull' }] },
      { imagePullSecrets: [{ name: 'pull' }] },
    ],
    [
      'the taints that the Runtime put up with',
      { ...CLAIM, tolerations: [{ key: 'batch', operator: 'Exists' }] },
      { tolerations: [{ key: 'batch', operator: 'Exists' }] },
    ],
  ] as ReadonlyArray<readonly [string, RecordedStore, object]>)
    it(`has ${what}`, () => {
      const { serviceAccountName, imagePullSecrets, tolerations } = made(store).spec;
      expect(JSON.parse(JSON.stringify({ serviceAccountName, imagePullSecrets, tolerations }))).to.deep.equal(
        expected,
      );
    });

  it('works as the user whom the files belong to', () => {
    expect(made({ ...CLAIM, runAsUser: 1234 }).spec.securityContext).to.deep.equal({
      fsGroup: 65532,
      runAsUser: 1234,
    });
  });

  for (const store of [CLAIM, GCS])
    it(`has the store, a session and no token for the API (${store.driver})`, () => {
      const { spec } = made(store);
      expect(spec.automountServiceAccountToken).to.equal(false);
      const [only, ...others] = spec.containers;
      expect(others).to.deep.equal([]);
      const wanted = [
        'kruntimes-session',
        store === CLAIM ? 'artifact-store' : 'kruntimes-artifact-store-key',
      ];
      expect(only?.volumeMounts.map(({ name }) => name)).to.deep.equal(wanted);
      expect(spec.volumes.map(({ name }) => name)).to.deep.equal(wanted);
      // One that is gone must not keep the pod from saying so.
      if (store === GCS)
        expect(spec.volumes[1]?.secret).to.deep.include({ secretName: 'key', optional: true });
    });
});
