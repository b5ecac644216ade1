import { mkdtempSync, rmSync } from 'node:fs';
import { get, type RequestOptions } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect } from 'chai';
import { Counter, Registry } from 'prom-client';

import type { Address } from '../../src/io/address.js';
import { serveMetrics } from '../../src/io/metrics-server.js';
import { serveProbes } from '../../src/io/probes.js';

const LOOPBACK: Address = { kind: 'Tcp', host: '127.0.0.1', port: 0 };

const ask = (address: Address, path: string, method = 'GET'): Promise<string> => {
  const where: RequestOptions =
    address.kind === 'Unix' ? { socketPath: address.path } : { host: address.host, port: address.port };
  return new Promise((resolve, reject) => {
    get({ ...where, path, method, agent: false }, (response) => {
      let body = '';
      response
        .setEncoding('utf8')
        .on('data', (text: string) => {
          body += text;
        })
        .on('end', () => resolve(`${response.statusCode} ${body}`));
    }).on('error', reject);
  });
};

describe('serveProbes', () => {
  it('answers ok, or 503 with the reason, on a port', async () => {
    let reason: string | undefined = 'caches are not in sync';
    const probes = await serveProbes(LOOPBACK, { whyUnhealthy: () => undefined, whyUnready: () => reason });
    expect(await ask(probes.address, '/healthz')).to.equal('200 ok\n');
    expect(await ask(probes.address, '/readyz?verbose=1')).to.equal('503 caches are not in sync\n');
    reason = undefined;
    expect(await ask(probes.address, '/readyz')).to.equal('200 ok\n');
    expect(await ask(probes.address, '/other')).to.match(/^404 /);
    expect(await ask(probes.address, '/healthz', 'POST')).to.match(/^405 /);
    await probes.close();
  });

  it('listens on a unix socket, and frees it on closing', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'probes-'));
    const address: Address = { kind: 'Unix', path: join(folder, 's.sock') };
    const checks = { whyUnhealthy: () => undefined, whyUnready: () => undefined };
    const first = await serveProbes(address, checks);
    expect(await ask(address, '/healthz')).to.equal('200 ok\n');
    await first.close();
    const second = await serveProbes(address, checks);
    await second.close();
    rmSync(folder, { recursive: true });
  });
});

describe('servePages', () => {
  it('refuses what a web page may make a browser send, and answers any request line', async () => {
    const checks = { whyUnhealthy: () => undefined, whyUnready: () => undefined };
    const probes = await serveProbes(LOOPBACK, checks);
    const { port } = probes.address as { port: number };
    const says = (path: string, headers: Readonly<Record<string, string>>): Promise<number | undefined> =>
      new Promise((resolve, reject) => {
        get({ host: '127.0.0.1', port, path, headers, agent: false }, (response) => {
          response.resume();
          resolve(response.statusCode);
        }).on('error', reject);
      });
    for (const host of ['localhost', '127.0.0.1', `127.0.0.1:${port}`, `[::1]:${port}`, 'LOCALHOST:1'])
      expect(await says('/healthz', { host }), host).to.equal(200);
    for (const host of [
      'evil.example',
      `evil.example:${port}`,
      '127.0.0.1.evil.example',
      '10.0.0.1',
      '[fe80::1]',
    ])
      expect(await says('/healthz', { host }), host).to.equal(403);
    for (const origin of ['http://evil.example', 'null', `http://127.0.0.1:${port}`])
      expect(await says('/healthz', { origin }), origin).to.equal(403);
    for (const path of [
      '//',
      '//x/healthz',
      '/%',
      '/healthz/..',
      '/healthz?a=//',
      '/constructor',
      '/__proto__',
    ])
      expect(await says(path, {}), path).to.equal(path.startsWith('/healthz?') ? 200 : 404);
    await probes.close();
  });

  it('serves by any name where it is not on loopback: pods are asked by their address or a Service', async () => {
    const checks = { whyUnhealthy: () => undefined, whyUnready: () => undefined };
    const probes = await serveProbes({ kind: 'Tcp', host: '0.0.0.0', port: 0 }, checks);
    const { port } = probes.address as { port: number };
    const status = await new Promise((resolve, reject) => {
      const headers = { host: `runtimes.team.svc:${port}` };
      get({ host: '127.0.0.1', port, path: '/healthz', headers, agent: false }, (response) => {
        response.resume();
        resolve(response.statusCode);
      }).on('error', reject);
    });
    expect(status).to.equal(200);
    await probes.close();
  });
});

describe('serveMetrics', () => {
  it('serves the registry as it stands', async () => {
    const registry = new Registry();
    const counter = new Counter({ name: 'runs_total', help: 'Runs.', registers: [registry] });
    const metrics = await serveMetrics(LOOPBACK, registry);
    counter.inc(3);
    expect(await ask(metrics.address, '/metrics')).to.match(/^200 [\s\S]*runs_total 3/);
    await metrics.close();
  });

  it('says 500, and lives on, when a metric cannot be read', async () => {
    const registry = new Registry();
    new Counter({
      name: 'bad',
      help: 'Bad.',
      registers: [registry],
      collect: () => {
        throw new Error('broken gauge');
      },
    });
    const metrics = await serveMetrics(LOOPBACK, registry);
    expect(await ask(metrics.address, '/metrics')).to.equal('500 broken gauge\n');
    expect(await ask(metrics.address, '/metrics')).to.equal('500 broken gauge\n');
    await metrics.close();
  });
});
