/**
 * The cluster's DNS: A records of Services, `<name>.<namespace>.svc.cluster.local`, and of the pods behind one without an
 * address; asked from the API server at each question. Everything else does not exist.
 */
import { createSocket } from 'node:dgram';
import { isIPv4 } from 'node:net';

import type { Body } from '../../conformance/target.js';
import type { ApiLevel } from '../api-level.js';

/** The domain that pods are told. */
export const CLUSTER_DOMAIN = 'cluster.local';

const HEADER_BYTES = 12;
const TYPE_A = 1;
const NO_SUCH_NAME = 3;
const SERVER_FAILURE = 2;
const TTL_SECONDS = 5;

type Question = Readonly<{ name: string; type: number; bytes: Buffer }>;

/** The one question of a query. */
const questionOf = (query: Buffer): Question => {
  const labels: string[] = [];
  let at = HEADER_BYTES;
  for (let length = query.readUInt8(at); length > 0; length = query.readUInt8(at)) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  const end = at + 5;
  return {
    name: labels.join('.').toLowerCase(),
    type: query.readUInt16BE(at + 1),
    bytes: query.subarray(HEADER_BYTES, end),
  };
};

const recordOf = (address: string): Buffer => {
  const record = Buffer.alloc(16);
  record.writeUInt16BE(0xc000 | HEADER_BYTES, 0);
  record.writeUInt16BE(TYPE_A, 2);
  record.writeUInt16BE(1, 4);
  record.writeUInt32BE(TTL_SECONDS, 6);
  record.writeUInt16BE(4, 10);
  Buffer.from(address.split('.').map(Number)).copy(record, 12);
  return record;
};

const reply = (
  query: Buffer,
  question: Question,
  code: number,
  addresses: ReadonlyArray<string> = [],
): Buffer => {
  const header = Buffer.alloc(HEADER_BYTES);
  query.copy(header, 0, 0, 2);
  // An answer with authority; recursion as it was asked for.
  header.writeUInt16BE(0x8400 | (query.readUInt16BE(2) & 0x0100) | code, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(addresses.length, 6);
  return Buffer.concat([header, question.bytes, ...addresses.map(recordOf)]);
};

/** Answers on port 53 of the address. */
export const startDns = async (
  call: ApiLevel['call'],
  address: string,
): Promise<Readonly<{ close: () => void }>> => {
  const socket = createSocket('udp4');
  const answer = async (query: Buffer): Promise<Buffer> => {
    const question = questionOf(query);
    const [service, namespace, svc, ...rest] = question.name.split('.');
    if (svc !== 'svc' || rest.join('.') !== CLUSTER_DOMAIN) return reply(query, question, NO_SUCH_NAME);
    const { code, body } = await call('GET', `/api/v1/namespaces/${namespace}/services/${service}`);
    if (code === 404) return reply(query, question, NO_SUCH_NAME);
    if (code !== 200) return reply(query, question, SERVER_FAILURE);
    if (question.type !== TYPE_A) return reply(query, question, 0);
    if (isIPv4(body.spec.clusterIP)) return reply(query, question, 0, [body.spec.clusterIP]);
    const { body: slices } = await call(
      'GET',
      `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices?labelSelector=${encodeURIComponent(`kubernetes.io/service-name=${service}`)}`,
    );
    const ready: ReadonlyArray<string> = slices.items.flatMap(({ endpoints }: Body) =>
      (endpoints ?? [])
        .filter(({ conditions }: Body) => conditions.ready)
        .flatMap(({ addresses }: Body) => addresses),
    );
    return reply(query, question, ready.length === 0 ? NO_SUCH_NAME : 0, ready);
  };
  socket.on('message', (query, from) => {
    answer(query).then(
      (bytes) => socket.send(bytes, from.port, from.address),
      // What is no query gets no answer; one that could not be answered is asked again.
      () => undefined,
    );
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(53, address, resolve);
  });
  return { close: () => socket.close() };
};
