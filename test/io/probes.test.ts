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
