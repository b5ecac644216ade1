import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect } from 'chai';
import * as fc from 'fast-check';
import { isLeft, isRight } from 'fp-ts/lib/Either.js';

import {
  Address,
  connectOptions,
  isListening,
  listen,
  listenOptions,
  parseAddress,
  printAddress,
} from '../../src/io/address.js';

const tcp = (host: string, port: number): Address => ({ kind: 'Tcp', host, port });
const unix = (path: string): Address => ({ kind: 'Unix', path });

describe('parseAddress', () => {
  const good: ReadonlyArray<[string, Address]> = [
    ['127.0.0.1:9091', tcp('127.0.0.1', 9091)],
    ['localhost:0', tcp('localhost', 0)],
    ['[::1]:80', tcp('::1', 80)],
    ['unix:/run/x.sock', unix('/run/x.sock')],
    ['unix:///run/x.sock', unix('/run/x.sock')],
  ];
  for (const [text, address] of good)
    it(`reads ${text}`, () => expect(parseAddress(text)).to.deep.equal({ _tag: 'Right', right: address }));

  for (const text of [
    '',
    '9091',
    ':9091',
    'host:',
    'host:65536',
    'host:-1',
    '::1:80',
    'unix:run/x',
    'http://a:1',
    'a b:1',
  ])
    it(`refuses "${text}" and says the form`, () => {
      const parsed = parseAddress(text);
      expect(isLeft(parsed) && parsed.left).to.contain('host:port');
    });

  it('refuses a socket path the system would cut off', () =>
    expect(isLeft(parseAddress(`unix:/${'x'.repeat(107)}`))).to.equal(true));

  it('reads back what printAddress wrote', () =>
    fc.assert(
      fc.property(
        fc.oneof(
          fc.record({
            host: fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain()),
            port: fc.integer({ min: 0, max: 65535 }),
          }),
          fc.stringMatching(/^\/[a-z0-9/._-]{1,80}$/),
        ),
        (value) => {
          const address =
            typeof value === 'string' ? unix(value.replace(/^\/+/, '/')) : tcp(value.host, value.port);
          const again = Address.decode(printAddress(address));
          expect(isRight(again) && again.right).to.deep.equal(address);
        },
      ),
    ));
});

describe('listen', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'address-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('gives the port that was free and can be dialled', async () => {
    const server = createServer((socket) => socket.end('hi'));
    const bound = await listen(server, tcp('127.0.0.1', 0));
    expect(bound.kind === 'Tcp' && bound.port).to.be.greaterThan(0);
    const text = await new Promise((resolve) =>
      connect(connectOptions(bound)).on('data', (data) => resolve(data.toString())),
    );
    expect(text).to.equal('hi');
    server.close();
  });

  it('makes the folder 0700 and the socket 0600', async () => {
    const address = unix(join(folder, 'pod/80.sock'));
    const server = createServer();
    await listen(server, address);
    expect(statSync(join(folder, 'pod')).mode & 0o777).to.equal(0o700);
    expect(statSync(join(folder, 'pod/80.sock')).mode & 0o777).to.equal(0o600);
    await new Promise((resolve) => server.close(resolve));
  });

  it('replaces a socket whose process is gone, not one that answers, and not a file', async () => {
    const path = join(folder, 's');
    const living = createServer();
    await listen(living, unix(path));
    const refused = await listen(createServer(), unix(path)).then(() => '', String);
    expect(refused).to.contain('another process');
    expect(existsSync(path)).to.equal(true);
    await new Promise((resolve) => living.close(resolve));

    const dying = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 9))`;
    expect(spawnSync(process.execPath, ['-e', dying]).signal).to.equal('SIGKILL');
    expect(existsSync(path)).to.equal(true);
    const second = createServer();
    await listen(second, unix(path));
    await new Promise((resolve) => second.close(resolve));

    writeFileSync(path, 'precious');
    expect(await listen(createServer(), unix(path)).then(() => '', String)).to.contain('not a socket');
  });
});

describe('isListening', () => {
  const folder = mkdtempSync(join(tmpdir(), 'address-'));
  after(() => rmSync(folder, { recursive: true, force: true }));

  for (const address of [unix(join(folder, 's')), tcp('127.0.0.1', 0)])
    it(`sees a process that listens, also while it is stopped, and one that is gone: ${address.kind}`, async () => {
      const listening = `const server = require('node:net').createServer();
        server.listen(${JSON.stringify({ ...listenOptions(address), backlog: 1 })}, () => {
          process.stdout.write(String(server.address().port ?? 0));
          process.kill(process.pid, 'SIGSTOP');
        });`;
      const child = spawn(process.execPath, ['-e', listening], { stdio: ['ignore', 'pipe', 'inherit'] });
      const [port] = await once(child.stdout, 'data');
      const bound = address.kind === 'Tcp' ? tcp(address.host, Number(port)) : address;
      // More than its queue takes: nobody accepts them.
      const asked = await Promise.all(Array.from({ length: 5 }, () => isListening(bound)));
      expect(asked).to.deep.equal([true, true, true, true, true]);
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
      expect(await isListening(bound)).to.equal(false);
    });
});
