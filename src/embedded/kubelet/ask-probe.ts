/** Asks one probe once: HTTP, TCP, gRPC health or a command. Never rejects; no answer in time is a failure. */
import { execFile } from 'node:child_process';
import { request } from 'node:http';
import { connect as connectHttp2, constants as http2Constants } from 'node:http2';
import { request as requestTls } from 'node:https';
import { connect, type Socket } from 'node:net';

import type { Container, Probe } from './pod.js';
import type { PodAddress } from './pod-address.js';
import { timeoutMs } from './probe-state.js';
import { killMarkedProcesses, MARKER } from './sweep.js';

export type ProbeAnswer = Readonly<{ ok: boolean; message?: string }>;

export type ProbeTarget = Readonly<{
  container: Container;
  /** Undefined when no port of the pod has that name. */
  address: (port: number | string) => PodAddress | undefined;
  /** For `exec`: the container's environment, folder, and command rewriting. */
  variables: ReadonlyMap<string, string>;
  workingDir: string;
  rewrite: (word: string) => string;
}>;

const failed = (message: string): ProbeAnswer => ({ ok: false, message });

const askHttp = (target: ProbeTarget, probe: NonNullable<Probe['httpGet']>, limitMs: number) =>
  new Promise<ProbeAnswer>((resolve) => {
    const address = target.address(probe.port);
    if (address === undefined) {
      resolve(failed(`no port is named ${probe.port}`));
      return;
    }
    const isTls = probe.scheme?.toUpperCase() === 'HTTPS';
    const where = 'path' in address ? { socketPath: address.path } : address;
    const call = (isTls ? requestTls : request)(
      {
        ...where,
        path: probe.path === undefined || probe.path === '' ? '/' : probe.path,
        headers: {
          host: probe.host ?? 'localhost',
          'user-agent': 'kube-probe/krt',
          connection: 'close',
          ...Object.fromEntries((probe.httpHeaders ?? []).map(({ name, value }) => [name, value])),
        },
        timeout: limitMs,
        agent: false,
        // As the kubelet does: the certificate of a probed container is not checked.
        ...(isTls ? { rejectUnauthorized: false } : {}),
      },
      (response) => {
        const status = response.statusCode ?? 0;
        response.destroy();
        resolve(
          status >= 200 && status < 400
            ? { ok: true }
            : failed(`HTTP probe failed with statuscode: ${status}`),
        );
      },
    );
    const timer = setTimeout(() => call.destroy(new Error('no answer in time')), limitMs);
    call.on('close', () => clearTimeout(timer));
    call.on('error', (error) => resolve(failed(`Get ${probe.path ?? '/'}: ${error.message}`)));
    call.end();
  });

const dial = (address: PodAddress): Socket =>
  'path' in address ? connect(address.path) : connect(address.port, address.host);

const askTcp = (target: ProbeTarget, port: number | string, limitMs: number) =>
  new Promise<ProbeAnswer>((resolve) => {
    const address = target.address(port);
    if (address === undefined) {
      resolve(failed(`no port is named ${port}`));
      return;
    }
    const socket = dial(address);
    const finish = (answer: ProbeAnswer): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(limitMs, () => finish(failed('no connection in time')));
    socket.once('connect', () => finish({ ok: true }));
    socket.once('error', (error) => finish(failed(error.message)));
  });

/** grpc.health.v1 over bare HTTP/2: one small message each way does not need a gRPC library in this process. */
const askGrpc = (target: ProbeTarget, probe: NonNullable<Probe['grpc']>, limitMs: number) =>
  new Promise<ProbeAnswer>((resolve) => {
    const address = target.address(probe.port);
    if (address === undefined) {
      resolve(failed(`no port ${probe.port}`));
      return;
    }
    const session = connectHttp2('http://localhost', { createConnection: () => dial(address) });
    const finish = (answer: ProbeAnswer): void => {
      clearTimeout(timer);
      session.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => finish(failed('no answer in time')), limitMs);
    session.on('error', (error) => finish(failed(error.message)));
    const service = Buffer.from(probe.service ?? '');
    const message =
      service.length === 0 ? service : Buffer.concat([Buffer.from([0x0a, service.length]), service]);
    const head = Buffer.alloc(5);
    head.writeUInt32BE(message.length, 1);
    const stream = session.request({
      [http2Constants.HTTP2_HEADER_METHOD]: 'POST',
      [http2Constants.HTTP2_HEADER_PATH]: '/grpc.health.v1.Health/Check',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    const body: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => body.push(chunk));
    stream.on('error', (error) => finish(failed(error.message)));
    stream.on('end', () => {
      // 5 bytes of frame, then field 1 (status) = 1 (SERVING).
      const answer = Buffer.concat(body).subarray(5);
      finish(
        answer[0] === 0x08 && answer[1] === 1
          ? { ok: true }
          : failed('service unhealthy (responded with other than "SERVING")'),
      );
    });
    stream.end(Buffer.concat([head, message]));
  });

const askCommand = (target: ProbeTarget, command: ReadonlyArray<string>, limitMs: number) =>
  new Promise<ProbeAnswer>((resolve) => {
    const [file, ...args] = command.map(target.rewrite);
    if (file === undefined) {
      resolve(failed('the probe has no command'));
      return;
    }
    // A marker of its own below the container's, so that a probe in time-out is ended with all it started.
    execSerial += 1;
    const marker = `${target.variables.get(MARKER) ?? ''}/exec-${execSerial}`;
    execFile(
      file,
      args,
      {
        cwd: target.workingDir,
        env: { ...Object.fromEntries(target.variables), [MARKER]: marker },
        timeout: limitMs,
        killSignal: 'SIGKILL',
        maxBuffer: 64 * 1024,
      },
      (error, stdout, stderr) => {
        if (error === null) {
          resolve({ ok: true });
          return;
        }
        killMarkedProcesses({ prefix: marker });
        const said = `${stdout}${stderr}`.trim().slice(0, 256);
        resolve(
          failed(error.killed === true ? 'command timed out' : said || `command failed: ${error.message}`),
        );
      },
    );
  });

let execSerial = 0;

/** One try. */
export const askProbe = (probe: Probe, target: ProbeTarget): Promise<ProbeAnswer> => {
  const limitMs = timeoutMs(probe);
  if (probe.httpGet !== undefined) return askHttp(target, probe.httpGet, limitMs);
  if (probe.tcpSocket !== undefined) return askTcp(target, probe.tcpSocket.port, limitMs);
  if (probe.grpc !== undefined) return askGrpc(target, probe.grpc, limitMs);
  if (probe.exec !== undefined) return askCommand(target, probe.exec.command ?? [], limitMs);
  return Promise.resolve(failed('the probe names no way to ask'));
};

/** Runs a lifecycle command (preStop) to its end or its limit. */
export const runHook = (
  target: ProbeTarget,
  command: ReadonlyArray<string>,
  limitMs: number,
): Promise<ProbeAnswer> => askCommand(target, command, limitMs);
