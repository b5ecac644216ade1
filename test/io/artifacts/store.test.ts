import { Readable } from 'node:stream';

import { expect } from 'chai';

import { type ArtifactStore, putArtifact, StoreError } from '../../../src/io/artifacts/store.js';
import { chunks, failureOf } from './contract.js';

/** A store whose library reads the bytes through a stream, which ends its source with an error when it fails itself. */
const failing = (after: number, cause: Error): ArtifactStore => ({
  driver: 's3',
  name: 's3://b',
  write: async (_key, bytes) => {
    let seen = 0;
    const stream = Readable.from(bytes, { objectMode: false });
    try {
      for await (const chunk of stream) {
        seen += (chunk as Buffer).length;
        if (seen >= after) {
          const ended = new Promise((resolve) => stream.once('close', resolve));
          stream.destroy(new Error('the operation was aborted'));
          await ended;
          throw new StoreError('Unavailable', 'the connection broke', cause);
        }
      }
    } catch (error) {
      throw error instanceof StoreError
        ? error
        : new StoreError('Unavailable', 'the connection broke', error);
    }
    return 's3://b/k';
  },
  read: () => Promise.reject(new Error('nobody reads')),
  list: () => chunks('') as never,
  listNamespace: () => chunks('') as never,
  remove: () => Promise.resolve(),
  sweep: () => Promise.resolve(),
});

describe('putArtifact', () => {
  it("does not take for a failure of the source what the store's library ends it with", async () => {
    let isClosed = false;
    const source = async function* (): AsyncGenerator<Buffer> {
      try {
        for (;;) yield Buffer.alloc(1000);
      } finally {
        isClosed = true;
      }
    };
    const put = putArtifact(failing(5000, new Error('ECONNRESET')), 'ns/u/1/k', source(), {
      contentType: 'x/y',
    });
    expect(await failureOf(put))
      .to.be.instanceOf(StoreError)
      .and.include({ kind: 'Unavailable' });
    expect(isClosed).to.equal(true);
  });
});
