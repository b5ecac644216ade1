import { mkdtempSync, rmSync } from 'node:fs';
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect } from 'chai';

import { ownCall } from '../../../src/embedded/api/bootstrap/bootstrap.js';
import { builtinResourceTypes } from '../../../src/embedded/api/resources/builtins.js';
import { Registry } from '../../../src/embedded/api/resources/registry.js';
import { Store } from '../../../src/embedded/api/store/store.js';
import { serveWatch } from '../../../src/embedded/api/watch/watch-stream.js';

describe('serveWatch', () => {
  let folder = '';
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'kruntimes-watch-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('writes nothing after its time is over, also to a client that has not read the end yet', async () => {
    const store = await Store.open({ folder });
    const registry = new Registry(builtinResourceTypes);
    const type = registry.find('', 'v1', 'configmaps');
    if (type === undefined) throw new Error('no ConfigMaps');
    const call = ownCall({ store, registry, nowMs: Date.now }, type, 'n', '', 'watch');
    // Nobody reads it: it is on no connection.
    const response = new ServerResponse(new IncomingMessage(new Socket()));
    const errors: Error[] = [];
    response.on('error', (error) => errors.push(error));
    const isOver = new Promise<void>((resolve) => {
      const end = response.end.bind(response);
      response.end = () => {
        resolve();
        return end();
      };
    });
    const query = new URLSearchParams({ timeoutSeconds: '1', allowWatchBookmarks: 'true' });
    serveWatch({ ...call, query }, response, { kind: 'object' });
    try {
      await isOver;
      store.put(type.storage, {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'late', namespace: 'n' },
      });
      await store.durable();
      await new Promise((resolve) => setImmediate(resolve));
      expect(errors).to.deep.equal([]);
    } finally {
      response.destroy();
      await store.close();
    }
  });
});
