/**
 * The drivers of object stores against real servers of their protocols: the contract, and what may go wrong on the way.
 * Needs servers: `npm run test:stores`.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
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
import { chunks, describeStore, failureOf, keysOf, textOf } from '../io/artifacts/contract.js';
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

  /** Uploads of a part each, begun and not ended; and what is left of them. */
  const unfinished = () => {
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
    const left = async (): Promise<ReadonlyArray<string | undefined>> => {
      const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: BUCKET }));
      return Uploads.map(({ Key }) => Key).sort();
    };
    return { begun, left, end: () => client.destroy() };
  };

  it('removes the parts of uploads that never ended along with the Run', async () => {
    const { begun, left, end } = unfinished();
    await begun('ns/torn/1/big');
    await begun('ns/torn-2/1/other');
    await server.open().remove('ns/torn/');
    expect(await left()).to.deep.equal(['ns/torn-2/1/other']);
    await server.open().remove('ns/torn-2/');
    expect(await left()).to.deep.equal([]);
    end();
  });

  it('sweeps uploads that are a day old, ours alone, and no object', async () => {
    const { begun, left, end } = unfinished();
    const uid = '6a2f41a3-c54c-4ce8-9d4d-1f1a5c9a9a01';
    const theirs = [`backups/${uid}/dump`, 'backups/2026/dump', `x/${uid}/1/a`];
    for (const key of [`p/ns/${uid}/1/big`, `p/ns/${uid}/log-1-pod.here`, ...theirs]) await begun(key);
    await putArtifact(server.open({ prefix: 'p' }), `ns/${uid}/2/whole`, chunks('whole'), plain);
    const sweepAfter = (hours: number): Promise<void> =>
      server.open({ prefix: 'p', now: () => Date.now() + hours * 3_600_000 }).sweep();
    await sweepAfter(23);
    expect(await left()).to.have.length(5);
    await sweepAfter(25);
    expect(await left()).to.deep.equal([...theirs].sort());
    // Without a prefix the whole bucket is looked through: what has no key of ours stays.
    await server.open({ now: () => Date.now() + 25 * 3_600_000 }).sweep();
    expect(await left()).to.deep.equal(theirs.slice(0, 2).sort());
    expect(await textOf(server.open({ prefix: 'p' }), `ns/${uid}/2/whole`)).to.equal('whole');
    end();
  });
});

describe('gcsStore against a server, with credentials', function () {
  this.timeout(60_000);
  const SUBJECT = 'the-token-of-the-pod';
  let server: StoreServer;
  let folder: string;
  let tokens: Server;
  /** What the token service answers. */
  let answer: readonly [number, unknown];
  let asked: string[];
  before(async function () {
    if (!process.env.STORE_SERVERS) this.skip();
    server = await SERVERS.gcsStore();
    folder = await mkdtemp(join(tmpdir(), 'krt-gcs-'));
    tokens = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => {
        body += chunk.toString();
      });
      request.on('end', () => {
        asked.push(body);
        const [status, json] = answer;
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(json));
      });
    }).listen(0, '127.0.0.1');
    await once(tokens, 'listening');
    const { port } = tokens.address() as AddressInfo;
    await writeFile(join(folder, 'subject'), SUBJECT);
    // Workload identity federation: the library's own exchange of a token, with a service of ours at its other end.
    await writeFile(
      join(folder, 'key.json'),
      JSON.stringify({
        type: 'external_account',
        audience: '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q',
        subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
        token_url: `http://127.0.0.1:${port}/token`,
        credential_source: { file: join(folder, 'subject') },
      }),
    );
  });
  beforeEach(() => {
    asked = [];
    // As GCS does: without the token that was given out for it, nothing.
    server.proxy.spoil(({ authorization }) =>
      authorization === 'Bearer good'
        ? undefined
        : {
            kind: 'Status',
            status: 401,
            body: JSON.stringify({ error: { code: 401, message: 'Invalid Credentials' } }),
          },
    );
  });
  after(async () => {
    tokens?.close();
    await server?.stop();
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  const given = (access_token: string): readonly [number, unknown] => [
    200,
    {
      access_token,
      issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      token_type: 'Bearer',
      expires_in: 3600,
    },
  ];
  const put = (credentialsFolder = folder): Promise<unknown> =>
    putArtifact(server.open({ credentialsFolder, tries: 1 }), 'ns/uid/1/a', chunks('a'), plain);

  it('stores with the token that its credentials are exchanged for', async () => {
    answer = given('good');
    await put();
    expect(asked.join()).to.include(SUBJECT);
    expect(await textOf(server.open({ credentialsFolder: folder }), 'ns/uid/1/a')).to.equal('a');
    expect(await failureOf(putArtifact(server.open(), 'ns/uid/1/b', chunks('b'), plain))).to.include({
      kind: 'Refused',
    });
  });

  const refusals: Readonly<Record<string, readonly [number, unknown]>> = {
    'the token service refuses them': [400, { error: 'invalid_grant', error_description: 'not this one' }],
    'the token service does not know them': [401, { error: 'invalid_client' }],
    'the store does not take their token': given('expired'),
  };
  for (const [when, how] of Object.entries(refusals))
    it(`says Refused where ${when}, soon, and repeats no secret`, async () => {
      answer = how;
      const error = await failureOf(put());
      expect(error).to.be.instanceOf(StoreError).and.include({ kind: 'Refused' });
      expect(String(error)).to.include('ns/uid/1/a').and.not.include(SUBJECT).and.not.include('expired');
    });

  it('says Unavailable where the token service is away: the next try may find it', async () => {
    answer = [503, {}];
    expect(await failureOf(put())).to.include({ kind: 'Unavailable' });
  });

  it('says Refused where there is no key, or none that can be read', async () => {
    const other = join(folder, 'other');
    await mkdir(other);
    expect(await failureOf(put(other))).to.include({ kind: 'Refused' });
    const key = { type: 'service_account', client_email: 'a@b', private_key: 'secret' };
    for (const text of [
      'secret and no JSON',
      '{"type":"secret"}',
      JSON.stringify({ ...key, client_email: '' }),
      JSON.stringify(key),
    ]) {
      await writeFile(join(other, 'key.json'), text);
      const error = await failureOf(put(other));
      expect(error, `${text} ${String(error)}`).to.include({ kind: 'Refused' });
      expect(String(error)).to.not.include('secret');
    }
  });
});
