/** How long the embedded API server takes a ServiceAccount's token, also when its clock is set. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect } from 'chai';

import { loadPki } from '../../../src/embedded/api/auth/pki.js';
import { apiAudience, ServiceAccountTokens } from '../../../src/embedded/api/auth/service-account-tokens.js';
import { Store } from '../../../src/embedded/api/store/store.js';

describe('the life of a token', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'krt-tokens-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('ends at its expiry, and has not yet to begin when the clock has been set back since', async () => {
    const { serviceAccountKeyPem } = await loadPki(folder);
    const store = await Store.open({ folder: join(folder, 'store') });
    const account = { name: 'a', uid: 'uid-a' };
    store.put('/serviceaccounts', {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { ...account, namespace: 'n' },
    });
    await store.durable();
    const tokens = new ServiceAccountTokens(serviceAccountKeyPem);
    const issuedMs = 1_800_000_000_000;
    const token = tokens.issue('n', account, [apiAudience], issuedMs, 3600, undefined);
    const isTaken = (atMs: number): boolean => tokens.check(token, atMs, store) !== undefined;
    expect([-3_600_000, -1, 0, 3_599_000, 3_600_000].map((ms) => isTaken(issuedMs + ms))).to.deep.equal([
      true,
      true,
      true,
      true,
      false,
    ]);
    await store.close();
  });
});
