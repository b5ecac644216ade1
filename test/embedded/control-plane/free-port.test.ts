import { once } from 'node:events';
import { createServer } from 'node:net';

import { expect } from 'chai';

import { anyFreePort, freePort, keptOrFreePort } from '../../../src/embedded/control-plane/free-port.js';

/** A port that is taken, until it is closed. */
const taken = async (port: number) => {
  const server = createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');
  return server;
};

describe('ports that a program binds later', () => {
  it('are none that an outgoing connection can be given, and each another', async () => {
    const ports: number[] = [];
    for (let i = 0; i < 20; i += 1) ports.push(await anyFreePort());
    for (const port of ports) expect(port).to.be.within(20_000, 29_999);
    expect(new Set(ports).size).to.equal(20);
  });

  it('are none that is taken', async () => {
    const first = await anyFreePort();
    // 29999 is followed by 20000.
    const server = await taken(first === 29_999 ? 20_000 : first + 1);
    try {
      expect(await anyFreePort()).to.not.equal(first + 1);
    } finally {
      server.close();
    }
  });

  it('are known to be taken by who asks for one of them', async () => {
    const port = await anyFreePort();
    const server = await taken(port);
    try {
      expect(await freePort(port)).to.equal(undefined);
      expect(await keptOrFreePort(port))
        .to.be.within(20_000, 29_999)
        .and.to.not.equal(port);
    } finally {
      server.close();
      await once(server, 'close');
    }
    expect(await keptOrFreePort(port)).to.equal(port);
  });
});
