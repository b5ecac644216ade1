/**
 * The drivers of object stores against real servers of their protocols: the contract, and what may go wrong on the way.
 * Needs servers: `npm run test:stores`.
 */
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import {
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { expect } from 'chai';

import { DEFAULT_LIMITS } from '../../src/decide/artifacts/rules.js';
import { keepArtifacts } from '../../src/io/artifacts/keep.js';
import { Slots } from '../../src/io/artifacts/slots.js';
import { type ArtifactStore, putArtifact, StoreError } from '../../src/io/artifacts/store.js';
import { chunks, describeStore, failureOf, keysOf } from '../io/artifacts/contract.js';
import type { Judge } from './fault-proxy.js';
import { BUCKET, SERVERS, type StoreServer } from './servers.js';

const MIB = 1024 ** 2;
const plain = { contentType: 'text/plain' };
const digestOf = (bytes: Buffer): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

/** Bytes that differ everywhere, so that a chunk in the wrong place shows. */
const bytesOf = (length: number): Buffer => {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at + 4 <= length; at += 4) bytes.writeUInt32BE(at, at);
  return bytes;
};

const digestOfStored = async (store: ArtifactStore, key: string): Promise<string> => {
  const hash = createHash('sha256');
  for await (const part of await store.read(key, 0)) hash.update(part as Buffer);
  return `sha256:${hash.digest('hex')}`;
};

for (const [name, start] of Object.entries(SERVERS))
  describe(`${name} against a server`, function () {
    this.timeout(120_000);
    let server: StoreServer;
    before(async function () {
      if (!process.env.STORE_SERVERS) this.skip();
      server = await start();
    });
    after(() => server?.stop());
    afterEach(() => server?.proxy.spoil());

    describe('the contract', () => describeStore(async () => server.open()));
    describe('the contract below a prefix', () =>
      describeStore(async () => server.open({ prefix: 'team a/x' })));

    const big = bytesOf(20 * MIB + 12);
    const faults: Readonly<Record<string, Judge>> = {
      'every third request is answered 503': ({ count }) =>
        count % 3 === 2 ? { kind: 'Status', status: 503 } : undefined,
      'the first is answered 429, the next 500': ({ count }) =>
        count <= 2 ? { kind: 'Status', status: count === 1 ? 429 : 500 } : undefined,
    };
    for (const [what, judge] of Object.entries(faults))
      it(`stores the whole while ${what}`, async () => {
        server.proxy.spoil(judge);
        const key = `ns/faults/1/${what}`;
        const stored = await putArtifact(server.open({ tries: 5 }), key, chunks(big, MIB), plain);
        server.proxy.spoil();
        expect(stored).to.include({ sizeBytes: big.length, digest: digestOf(big) });
        expect(await digestOfStored(server.open(), key)).to.equal(digestOf(big));
      });

    it('says Unavailable of a connection that is reset in the middle of each upload, and shows nothing', async () => {
      server.proxy.spoil(({ method, url }) =>
        method === 'PUT' || url.includes('/upload/') ? { kind: 'Reset', afterBytes: 3 * MIB } : undefined,
      );
      const store = server.open({ tries: 1 });
      const error = await failureOf(putArtifact(store, 'ns/reset/1/big', chunks(big, MIB), plain));
      server.proxy.spoil();
      expect(error).to.be.instanceOf(StoreError).and.include({ kind: 'Unavailable' });
      expect(String(error)).to.include('ns/reset/1/big').and.include(store.name);
      expect(String(error)).to.not.match(/upload_id=[0-9a-f]/i);
      expect(await keysOf(store, 'ns/reset/')).to.deep.equal([]);
    });

    it('says Unavailable while the store is away', async () => {
      const store = server.open({ tries: 1 });
      await server.proxy.close();
      try {
        for (const call of [
          () => putArtifact(store, 'ns/away/1/a', chunks('a'), plain),
          () => store.read('ns/away/1/a', 0),
          () => store.remove('ns/away/'),
        ])
          expect(await failureOf(call()))
            .to.be.instanceOf(StoreError)
            .and.include({ kind: 'Unavailable' });
      } finally {
        await server.proxy.open();
      }
    });

    it('says Refused of a bucket that is not there, and names it', async () => {
      const store = server.open({ bucket: 'nowhere' });
      const error = await failureOf(putArtifact(store, 'ns/uid/1/a', chunks('a'), plain));
      expect(error).to.be.instanceOf(StoreError).and.include({ kind: 'Refused' });
      expect(String(error))
        .to.match(/nowhere/)
        .and.match(/bucket|404/i);
      expect(await failureOf(store.remove('ns/uid/'))).to.include({ kind: 'Refused' });
    });

    it('says Refused where the answer is 403, and asks no second time', async () => {
      server.proxy.spoil(() => ({ kind: 'Status', status: 403, body: 'no' }));
      const before = server.proxy.seen.length;
      const error = await failureOf(putArtifact(server.open(), 'ns/uid/1/a', chunks('a'), plain));
      expect(error).to.be.instanceOf(StoreError).and.include({ kind: 'Refused' });
      expect(server.proxy.seen.length - before).to.equal(1);
    });

    describe('keepArtifacts', () => {
      let folder: string;
      beforeEach(async () => {
        folder = await mkdtemp(join(tmpdir(), 'krt-keep-'));
      });
      afterEach(() => rm(folder, { recursive: true, force: true }));
      const keep = (store: ArtifactStore, attempt: number, onRetry: () => void = () => undefined) =>
        keepArtifacts(
          { path: folder, steps: [] },
          { namespace: 'ns', uid: 'kept', attempt },
          {
            store,
            limits: DEFAULT_LIMITS,
            slots: new Slots(4),
            now: () => '2026-01-01T00:00:00Z',
            mark: () => Promise.resolve(undefined),
            onRetry,
          },
        );

      it('stores the whole again when the store comes back', async () => {
        await writeFile(join(folder, 'big'), big);
        let retries = 0;
        server.proxy.spoil(({ method, url }) =>
          method === 'PUT' || url.includes('/upload/') ? { kind: 'Reset', afterBytes: 2 * MIB } : undefined,
        );
        const kept = await keep(server.open({ tries: 1 }), 1, () => {
          retries += 1;
          if (retries === 3) server.proxy.spoil();
        });
        expect(kept).to.have.nested.property('refs[0].digest', digestOf(big));
        expect(retries).to.be.at.least(3);
        expect(await digestOfStored(server.open(), 'ns/kept/1/big')).to.equal(digestOf(big));
      });

      it('stores 10,000 small files as one directory, and removes them', async () => {
        await mkdir(join(folder, 'many'));
        for (let at = 0; at < 10_000; at += 1)
          await writeFile(join(folder, 'many', `file-${at}`), `content of ${at}\n`);
        const store = server.open();
        const kept = await keep(store, 2);
        const digest = kept.kind === 'Stored' ? kept.refs[0]?.digest : undefined;
        expect(digest).to.match(/^sha256:/);
        expect(await digestOfStored(store, 'ns/kept/2/many')).to.equal(digest);
        await store.remove('ns/kept/');
        expect(await keysOf(store, 'ns/kept/')).to.deep.equal([]);
      });
    });

    it('lists and removes more objects than one page has', async () => {
      const store = server.open();
      const keys = Array.from({ length: 1100 }, (_, at) => `ns/paged/1/o${at}`);
      for (let at = 0; at < keys.length; at += 20)
        await Promise.all(keys.slice(at, at + 20).map((key) => putArtifact(store, key, chunks('x'), plain)));
      expect((await keysOf(store, 'ns/paged/')).length).to.equal(1100);
      await store.remove('ns/paged/');
      expect(await keysOf(store, 'ns/paged/')).to.deep.equal([]);
    });
  });

describe('s3Store against a server, what only S3 has', function () {
  this.timeout(60_000);
  let server: StoreServer;
  before(async function () {
    if (!process.env.STORE_SERVERS) this.skip();
    server = await SERVERS.s3Store();
  });
  after(() => server?.stop());

  it('says Refused of wrong credentials, and repeats no secret', async () => {
    const error = await failureOf(
      putArtifact(server.open({ secret: 'a-wrong-one' }), 'ns/uid/1/a', chunks('a'), plain),
    );
    expect(error).to.be.instanceOf(StoreError).and.include({ kind: 'Refused' });
    expect(String(error))
      .to.match(/SignatureDoesNotMatch/)
      .and.not.match(/a-wrong-one/);
  });

  it('removes the parts of uploads that never ended along with the Run', async () => {
    const client = new S3Client({
      region: 'us-east-1',
      endpoint: server.proxy.url,
      forcePathStyle: true,
      credentials: {
        accessKeyId: server.secret.accessKeyID ?? '',
        secretAccessKey: server.secret.secretAccessKey ?? '',
      },
    });
    const begun = async (Key: string): Promise<void> => {
      const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket: BUCKET, Key }));
      await client.send(
        new UploadPartCommand({ Bucket: BUCKET, Key, UploadId, PartNumber: 1, Body: Buffer.alloc(5 * MIB) }),
      );
    };
    await begun('ns/torn/1/big');
    await begun('ns/torn-2/1/other');
    await server.open().remove('ns/torn/');
    const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: BUCKET }));
    client.destroy();
    expect(Uploads.map(({ Key }) => Key)).to.deep.equal(['ns/torn-2/1/other']);
  });
});
