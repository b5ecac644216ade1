/** The server as a process: kill -9 under load loses nothing that was acknowledged. Embedded only. */

import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, watch } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';

import type { Body, Target } from './target.js';
import { aConfigMap, connect } from './target.js';

const program = fileURLToPath(new URL('../../src/embedded/api/main.ts', import.meta.url));

type Running = Readonly<{
  child: ChildProcess;
  client: Pick<Target, 'call' | 'watch' | 'close'>;
  url: string;
}>;

describe('the api server process', () => {
  let dataDir = '';
  const children: ChildProcess[] = [];
  beforeEach(() => {
    dataDir = mkdtempSync(join(tmpdir(), 'kruntimes-process-'));
  });
  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    rmSync(dataDir, { recursive: true, force: true });
  });

  const spawnServer = (options: { fd3?: boolean } = {}): ChildProcess => {
    const child = spawn(process.execPath, ['--import', 'tsx', program, '--data-dir', dataDir], {
      stdio: ['ignore', 'ignore', 'ignore', options.fd3 === true ? 'pipe' : 'ignore'],
      env: { ...process.env, ...(options.fd3 === true ? { KRUNTIME_PARENT_FD: '3' } : {}) },
    });
    children.push(child);
    return child;
  };

  /** Resolves when the process says where it answers. */
  const start = async (options: { fd3?: boolean } = {}): Promise<Running> => {
    const file = join(dataDir, 'apiserver.json');
    rmSync(file, { force: true });
    const watcher = watch(dataDir);
    const child = spawnServer(options);
    while (!existsSync(file)) await once(watcher, 'change');
    watcher.close();
    const { url, pid } = JSON.parse(readFileSync(file, 'utf8')) as Body;
    expect(pid).to.equal(child.pid);
    const { admin } = JSON.parse(readFileSync(join(dataDir, 'tokens.json'), 'utf8')) as Body;
    return { child, url, client: connect(url, admin, readFileSync(join(dataDir, 'pki/ca.crt'), 'utf8')) };
  };

  it('keeps every acknowledged write over kill -9 in the middle of load', async () => {
    const maps = '/api/v1/namespaces/default/configmaps';
    const acknowledged = new Map<string, string>();
    for (let round = 0; round < 2; round += 1) {
      const { child, client } = await start();
      const exited = once(child, 'exit');
      let count = 0;
      const write = async (worker: number): Promise<void> => {
        for (let i = 0; ; i += 1) {
          const name = `r${round}-w${worker}-${i}`;
          const reply = await client
            .call('POST', maps, aConfigMap(name, { worker: String(worker) }))
            .catch(() => undefined);
          if (reply === undefined) return;
          expect(reply.code).to.equal(201);
          acknowledged.set(name, reply.body.metadata.resourceVersion);
          count += 1;
          if (count === 300) child.kill('SIGKILL');
        }
      };
      await Promise.all(Array.from({ length: 16 }, (_, worker) => write(worker)));
      await exited;
      await client.close();
      expect(count).to.be.at.least(300);
    }
    const { client } = await start();
    const { body } = await client.call('GET', maps);
    const found = new Map<string, string>(
      body.items.map(({ metadata }: Body) => [metadata.name, metadata.resourceVersion]),
    );
    for (const [name, version] of acknowledged) expect(found.get(name), name).to.equal(version);
    const versions = [...found.values()];
    expect(new Set(versions).size).to.equal(versions.length);
    await client.close();
  });

  it('ends in good order on SIGTERM and takes its announcement along', async () => {
    const { child, client } = await start();
    child.kill('SIGTERM');
    const [code] = await once(child, 'exit');
    expect(code).to.equal(0);
    expect(existsSync(join(dataDir, 'apiserver.json'))).to.equal(false);
    expect(existsSync(join(dataDir, 'store/lock'))).to.equal(false);
    await client.close();
  });

  it('ends when its parent is gone', async () => {
    const { child, client } = await start({ fd3: true });
    const exited = once(child, 'exit');
    child.stdio[3]?.destroy();
    await exited;
    await client.close();
  });

  it('leaves a folder alone that another server has', async () => {
    const { client } = await start();
    const second = spawnServer();
    const [code] = await once(second, 'exit');
    expect(code).to.equal(1);
    expect((await client.call('GET', '/readyz')).code).to.equal(200);
    await client.close();
  });
});
