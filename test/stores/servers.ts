/** Servers of GCS and S3 on loopback, each behind a proxy that can spoil what passes. They end with the test. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';

import { anyFreePort } from '../../src/embedded/control-plane/free-port.js';
import { gcsStore } from '../../src/io/artifacts/gcs.js';
import { s3Store } from '../../src/io/artifacts/s3.js';
import type { ArtifactStore } from '../../src/io/artifacts/store.js';
import type { ArtifactStoreSettings } from '../../src/model/artifact-store.js';
import { FaultProxy } from './fault-proxy.js';

/** The bucket that is there. */
export const BUCKET = 'results';
const ACCESS = 'tester';
const SECRET = 'test-secret-key';

/** One server with its store. */
export type StoreServer = Readonly<{
  proxy: FaultProxy;
  folder: string;
  /** The store, opened with the same settings and credentials as a pod would have. */
  open: (
    more?: Readonly<{
      bucket?: string;
      prefix?: string;
      secret?: string;
      tries?: number;
      now?: () => number;
      /** Of GCS. */
      credentialsFolder?: string;
    }>,
  ) => ArtifactStore;
  /** As spec.artifactStore of a Runtime. */
  settings: ArtifactStoreSettings;
  /** Content of the Secret that the settings name, if they name one. */
  secret: Readonly<Record<string, string>>;
  /** Largest object that it takes in reasonable time, MiB. */
  largestMib: number;
  stop: () => Promise<void>;
}>;

/** Resolves when something listens. A process that ends before rejects. */
const listening = async (child: ChildProcess, port: number): Promise<void> => {
  for (;;) {
    if (child.exitCode !== null) throw new Error(`the server ended with exit code ${child.exitCode}`);
    const socket = connect(port, '127.0.0.1');
    const isOpen = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    });
    socket.destroy();
    if (isOpen) return;
    await pause(50);
  }
};

const started = async (
  name: string,
  argsOf: (port: number, folder: string, url: string) => ReadonlyArray<string>,
) => {
  const programs = process.env.STORE_SERVERS ?? '';
  const folder = mkdtempSync(join(tmpdir(), `krt-${name}-`));
  const proxy = new FaultProxy();
  await proxy.open();
  proxy.target = await anyFreePort();
  const child = spawn(join(programs, name), argsOf(proxy.target, folder, proxy.url), {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  process.once('exit', () => child.kill('SIGKILL'));
  await listening(child, proxy.target);
  const stop = async (): Promise<void> => {
    await proxy.close();
    if (child.exitCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    rmSync(folder, { recursive: true, force: true });
  };
  return { proxy, folder, stop };
};

/** fake-gcs-server, its objects on disk. It knows no credentials. */
export const startGcs = async (): Promise<StoreServer> => {
  const { proxy, folder, stop } = await started('fake-gcs-server', (port, root, url) => {
    mkdirSync(join(root, 'data', BUCKET), { recursive: true });
    return [
      ...['-scheme', 'http', '-host', '127.0.0.1', '-port', String(port), '-external-url', url],
      ...['-backend', 'filesystem', '-filesystem-root', join(root, 'data'), '-log-level', 'error'],
    ];
  });
  return {
    proxy,
    folder,
    stop,
    open: ({ bucket = BUCKET, prefix, tries = 3, credentialsFolder } = {}) =>
      gcsStore({
        bucket,
        ...(credentialsFolder === undefined ? {} : { credentialsFolder }),
        endpoint: proxy.url,
        retries: tries,
        retrySeconds: 10,
        ...(prefix === undefined ? {} : { prefix }),
      }),
    // It hashes all that it has with every chunk that comes: 256 MiB take 10 s, 512 take 34, and 1024 two minutes or more.
    largestMib: Number(process.env.STORES_GCS_MIB ?? 256),
    settings: { driver: 'gcs', gcs: { bucket: BUCKET, endpoint: proxy.url } },
    secret: {},
  };
};

/** versitygw over a folder, with one account. */
export const startS3 = async (): Promise<StoreServer> => {
  const { proxy, folder, stop } = await started('versitygw', (port, root) => {
    mkdirSync(join(root, 'data'));
    mkdirSync(join(root, 'sidecar'));
    return [
      ...['--port', `127.0.0.1:${port}`, '--access', ACCESS, '--secret', SECRET, '--quiet', '--keep-alive'],
      ...['posix', '--sidecar', join(root, 'sidecar'), join(root, 'data')],
    ];
  });
  const client = new S3Client({
    region: 'us-east-1',
    endpoint: proxy.url,
    forcePathStyle: true,
    credentials: { accessKeyId: ACCESS, secretAccessKey: SECRET },
  });
  await client.send(new CreateBucketCommand({ Bucket: BUCKET }));
  client.destroy();
  const credentials = (secret: string): string => {
    const path = mkdtempSync(join(folder, 'credentials-'));
    writeFileSync(join(path, 'accessKeyID'), ACCESS);
    writeFileSync(join(path, 'secretAccessKey'), `${secret}\n`);
    return path;
  };
  return {
    proxy,
    folder,
    stop,
    open: ({ bucket = BUCKET, prefix, secret = SECRET, tries = 3, now } = {}) =>
      s3Store({
        bucket,
        ...(now === undefined ? {} : { now }),
        endpoint: proxy.url,
        forcePathStyle: true,
        credentialsFolder: credentials(secret),
        maxAttempts: tries,
        ...(prefix === undefined ? {} : { prefix }),
      }),
    largestMib: 1024,
    settings: {
      driver: 's3',
      s3: { bucket: BUCKET, endpoint: proxy.url, forcePathStyle: true, credentialsSecretName: 's3-key' },
    },
    secret: { accessKeyID: ACCESS, secretAccessKey: SECRET },
  };
};

/** Both. */
export const SERVERS = { gcsStore: startGcs, s3Store: startS3 } as const;
