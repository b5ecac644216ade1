/**
 * Where a server of ours listens or is dialled: `host:port` or `unix:/absolute/path`.
 *
 * On a cluster every address is a port; on one machine the process kubelet turns a pod's ports into unix sockets
 * in a folder of the pod. Programs need not know which: they parse, bind and dial through this file.
 */
import { chmodSync, existsSync, lstatSync, mkdirSync, unlinkSync } from 'node:fs';
import type { ListenOptions, NetConnectOpts, Server } from 'node:net';
import { connect } from 'node:net';
import { dirname } from 'node:path';

import type { Server as GrpcServer, ServerCredentials } from '@grpc/grpc-js';
import { type Either, isLeft, left, right } from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';

import { errorCode } from './error-code.js';

/** A host and port. Port 0 asks for any free port and is only good for listening. */
export type TcpAddress = Readonly<{ kind: 'Tcp'; host: string; port: number }>;
/** The absolute path of a unix socket. */
export type UnixAddress = Readonly<{ kind: 'Unix'; path: string }>;
export type Address = TcpAddress | UnixAddress;

/** Longest path of a unix socket in bytes: sun_path is 108 on Linux and 104 on macOS, with a final NUL. */
export const maxSocketPathBytes = process.platform === 'linux' ? 107 : 103;

const form = 'an address is host:port, [ipv6]:port or unix:/absolute/path';

/** Reads an address; the left side says what is wrong, without a leading capital or a final stop. */
export const parseAddress = (text: string): Either<string, Address> => {
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length).replace(/^\/\/(?=\/)/, '');
    if (!path.startsWith('/')) return left(`"${text}" is not an address: ${form}`);
    const bytes = Buffer.byteLength(path);
    return bytes > maxSocketPathBytes
      ? left(
          `the socket path "${path}" has ${bytes} bytes, ${maxSocketPathBytes} are possible: use a shorter folder`,
        )
      : right({ kind: 'Unix', path });
  }
  const parts = /^(?:\[([0-9A-Fa-f:.%]+)\]|([^\s:/[\]]+)):(\d{1,5})$/.exec(text);
  const host = parts?.[1] ?? parts?.[2];
  const port = Number(parts?.[3]);
  return host === undefined || port > 65535
    ? left(`"${text}" is not an address: ${form}`)
    : right({ kind: 'Tcp', host, port });
};

const bracketed = (host: string): string => (host.includes(':') ? `[${host}]` : host);

/** The text that `parseAddress` reads back. */
export const printAddress = (address: Address): string =>
  address.kind === 'Unix' ? `unix:${address.path}` : `${bracketed(address.host)}:${address.port}`;

const isAddress = (value: unknown): value is Address =>
  t
    .union([
      t.type({ kind: t.literal('Tcp'), host: t.string, port: t.Int }),
      t.type({ kind: t.literal('Unix'), path: t.string }),
    ])
    .is(value);

/** Codec of an address written as text, as in a flag or an environment variable. */
export const Address = new t.Type<Address, string, unknown>(
  'Address',
  isAddress,
  (input, context) => {
    if (typeof input !== 'string') return t.failure(input, context, form);
    const parsed = parseAddress(input);
    return isLeft(parsed) ? t.failure(input, context, parsed.left) : t.success(parsed.right);
  },
  printAddress,
);

/** The target for a grpc-js client or server. */
export const grpcTarget = printAddress;

/** What `net.Server.listen`, and so any node http server, takes. Call `prepareListen` first. */
export const listenOptions = (address: Address): ListenOptions =>
  address.kind === 'Unix' ? { path: address.path } : { host: address.host, port: address.port };

/** What `net.connect` takes; for http requests use `socketPath` of a unix address. */
export const connectOptions = (address: Address): NetConnectOpts =>
  address.kind === 'Unix' ? { path: address.path } : { host: address.host, port: address.port };

/** The kernel takes connections for a process that listens; only one that is stopped lets them pile up, milliseconds. */
const CONNECT_MS = 1_000;

/** What the kernel says where no process listens. */
const NOBODY: ReadonlySet<string> = new Set(['ECONNREFUSED', 'ENOENT']);

/**
 * Does a process listen there? Says nothing about whether it answers: one that is stopped or busy listens, too. True where
 * it cannot be said.
 */
export const isListening = (address: Address): Promise<boolean> =>
  new Promise((resolve) => {
    const probe = connect(connectOptions(address));
    const say = (isThere: boolean): void => {
      clearTimeout(limit);
      probe.destroy();
      resolve(isThere);
    };
    const limit = setTimeout(say, CONNECT_MS, true);
    probe.once('connect', () => say(true));
    probe.once('error', (cause) => say(!NOBODY.has(errorCode(cause))));
  });

/**
 * Makes an address ready to be bound: the folder of a unix socket exists (a new one is 0700) and a socket that a
 * dead process left is gone. Nothing to do for a port.
 *
 * @throws Error when a living process listens there, or the path is something else than a socket.
 */
export const prepareListen = async (address: Address): Promise<void> => {
  if (address.kind !== 'Unix') return;
  mkdirSync(dirname(address.path), { recursive: true, mode: 0o700 });
  if (!existsSync(address.path)) return;
  if (!lstatSync(address.path).isSocket())
    throw new Error(`cannot listen on ${printAddress(address)}: the path is not a socket; move it away`);
  if (await isListening(address))
    throw new Error(
      `cannot listen on ${printAddress(address)}: another process listens there; stop it first`,
    );
  unlinkSync(address.path);
};

/** Only the owner may connect, whatever the folder allows. */
const restrict = (address: Address): void => {
  if (address.kind === 'Unix') chmodSync(address.path, 0o600);
};

/** Binds a node server (net, http); resolves to the address with the port it really got. */
export const listen = async (server: Server, address: Address): Promise<Address> => {
  await prepareListen(address);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(listenOptions(address), () => {
      server.off('error', reject);
      resolve();
    });
  });
  restrict(address);
  const bound = server.address();
  return address.kind === 'Tcp' && bound !== null && typeof bound === 'object'
    ? { ...address, port: bound.port }
    : address;
};

/** Binds a grpc-js server; resolves to the address with the port it really got. */
export const listenGrpc = async (
  server: GrpcServer,
  address: Address,
  credentials: ServerCredentials,
): Promise<Address> => {
  await prepareListen(address);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(grpcTarget(address), credentials, (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  restrict(address);
  return address.kind === 'Tcp' ? { ...address, port } : address;
};
