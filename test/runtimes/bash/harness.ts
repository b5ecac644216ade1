/** A Bash Runtime Server and a client for one test file. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { type ClientReadableStream, credentials, type ServiceError } from '@grpc/grpc-js';
import bunyan from 'bunyan';

import { grpcTarget } from '../../../src/io/address.js';
import {
  type Cursor,
  ExecuteRequest,
  type Exited,
  type HealthResponse,
  type ListResponse,
  OutputStream,
  RuntimeClient,
  type StatusResponse,
  type WatchEvent,
} from '../../../src/proto/gen/executor.js';
import type { Options } from '../../../src/runtimes/bash/options.js';
import { type BashServer, startServer } from '../../../src/runtimes/bash/server.js';

type Reply<A> = (error: ServiceError | null, value: A) => void;

const ask = <A>(call: (reply: Reply<A>) => unknown): Promise<A> =>
  new Promise((resolve, reject) => {
    call((error, value) => (error === null ? resolve(value) : reject(error)));
  });

/** Everything one watcher has been told, and promises for what it will be. */
export class Watching {
  readonly events: WatchEvent[] = [];
  readonly stream: ClientReadableStream<WatchEvent>;
  readonly #ofId = new Map<string, WatchEvent[]>();
  readonly #waiting = new Map<string, Set<() => void>>();
  #failure: Error | undefined;

  constructor(stream: ClientReadableStream<WatchEvent>) {
    this.stream = stream;
    stream.on('data', (event: WatchEvent) => {
      this.events.push(event);
      this.of(event.id).push(event);
      for (const id of [event.id, '*']) for (const look of this.#waiting.get(id) ?? []) look();
    });
    stream.on('error', (error) => {
      this.#failure = error;
      for (const looks of this.#waiting.values()) for (const look of looks) look();
    });
  }

  /** Events of one execution, a list that grows. */
  of(id: string): WatchEvent[] {
    const known = this.#ofId.get(id);
    if (known !== undefined) return known;
    const fresh: WatchEvent[] = [];
    this.#ofId.set(id, fresh);
    return fresh;
  }

  /** The first answer of `find` that is not undefined, now or after a later event (of this execution, if named). */
  async until<A>(find: (events: readonly WatchEvent[]) => A | undefined, id = '*'): Promise<A> {
    const events = id === '*' ? this.events : this.of(id);
    const now = find(events);
    if (now !== undefined) return now;
    const waiting = this.#waiting.get(id) ?? new Set();
    this.#waiting.set(id, waiting);
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const found = find(events);
        if (found === undefined && this.#failure === undefined) return;
        waiting.delete(look);
        if (found !== undefined) resolve(found);
        else reject(this.#failure);
      };
      waiting.add(look);
    });
  }

  exited(id: string): Promise<Exited> {
    return this.until((events) => {
      const { event } = events.at(-1) ?? {};
      return event?.$case === 'exited' ? event.value : undefined;
    }, id);
  }

  /** Resolves when the stream's output of an execution contains the text. */
  async output(id: string, wanted: string): Promise<void> {
    await this.until(() => (this.text(id).includes(wanted) ? true : undefined), id);
  }

  bytes(id: string, stream: OutputStream = OutputStream.OUTPUT_STREAM_STDOUT): Buffer {
    return Buffer.concat(
      this.of(id).flatMap(({ event }) =>
        event?.$case === 'output' && event.value.stream === stream ? [event.value.data] : [],
      ),
    );
  }

  text(id: string, stream: OutputStream = OutputStream.OUTPUT_STREAM_STDOUT): string {
    return this.bytes(id, stream).toString();
  }

  cancel(): void {
    this.stream.cancel();
  }
}

/** What an execution came to, with all of its output. */
export type Result = Readonly<{
  exited: Exited;
  stdout: string;
  stderr: string;
  watching: Watching;
  id: string;
}>;

export class Client {
  readonly grpc: RuntimeClient;
  readonly workDir: string;
  #count = 0;
  #watching: Watching | undefined;

  constructor(target: string, workDir: string) {
    this.grpc = new RuntimeClient(target, credentials.createInsecure(), {
      'grpc.max_receive_message_length': 64 * 1024 * 1024,
    });
    this.workDir = workDir;
  }

  /** A new id with a working directory of its own. */
  newId(): string {
    this.#count += 1;
    const id = `run-${this.#count}`;
    mkdirSync(join(this.workDir, id), { recursive: true });
    return id;
  }

  write(id: string, name: string, text: string | Buffer, mode = 0o644): string {
    const path = join(this.workDir, id, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text, { mode });
    return path;
  }

  execute(request: Partial<ExecuteRequest>): Promise<{ id: string }> {
    return ask((reply) => this.grpc.execute(ExecuteRequest.fromPartial(request), reply));
  }

  /** Starts an inline script in a folder of its own. */
  async script(text: string | Buffer, request: Partial<ExecuteRequest> = {}): Promise<string> {
    const id = request.id ?? this.newId();
    this.write(id, request.entrypoint ?? 'script', text);
    await this.execute({ id, workingDir: id, entrypoint: 'script', ...request });
    return id;
  }

  /** Runs to the end. */
  async finish(id: string): Promise<Result> {
    this.#watching ??= this.watch();
    const watching = this.#watching;
    const exited = await watching.exited(id);
    const stderr = watching.text(id, OutputStream.OUTPUT_STREAM_STDERR);
    return { exited, stdout: watching.text(id), stderr, watching, id };
  }

  async run(text: string | Buffer, request: Partial<ExecuteRequest> = {}): Promise<Result> {
    return this.finish(await this.script(text, request));
  }

  /** Runs arguments without an entrypoint. */
  async command(args: string[], request: Partial<ExecuteRequest> = {}): Promise<Result> {
    const id = this.newId();
    await this.execute({ id, workingDir: id, args, ...request });
    return this.finish(id);
  }

  watch(cursors: Cursor[] = []): Watching {
    return new Watching(this.grpc.watch({ cursors }));
  }

  status(id: string): Promise<StatusResponse> {
    return ask((reply) => this.grpc.status({ id }, reply));
  }

  list(): Promise<ListResponse> {
    return ask((reply) => this.grpc.list({}, reply));
  }

  cancel(id: string): Promise<object> {
    return ask((reply) => this.grpc.cancel({ id }, reply));
  }

  forget(id: string): Promise<object> {
    return ask((reply) => this.grpc.forget({ id }, reply));
  }

  health(): Promise<HealthResponse> {
    return ask((reply) => this.grpc.health({}, reply));
  }
}

/** gRPC status code of a call that fails; undefined when it does not. */
export const codeOf = async (call: Promise<unknown>): Promise<number | undefined> =>
  call.then(
    () => undefined,
    (error: ServiceError) => error.code,
  );

export const newFolder = (): string => mkdtempSync(join(tmpdir(), 'bash-runtime-test-'));

export const defaults: Omit<Options, 'address' | 'workDir'> = {
  graceMillis: 300,
  headBytes: 1_048_576,
  tailBytes: 1_048_576,
  mostProcesses: 512,
  stormRestMillis: 0,
  warmLeast: 4,
  warmMost: 16,
  warmName: 'script',
  logLevel: 'fatal',
};

export type Harness = Readonly<{
  client: Client;
  server: BashServer;
  folder: string;
  stop: () => Promise<void>;
}>;

/** A server in this process, on a socket of its own. */
export const startHarness = async (
  options: Partial<Options> = {},
  env: NodeJS.ProcessEnv = process.env,
): Promise<Harness> => {
  const folder = newFolder();
  const workDir = join(folder, 'workspace');
  mkdirSync(workDir);
  const address = { kind: 'Unix', path: join(folder, 'server.sock') } as const;
  const log = bunyan.createLogger({ name: 'test', level: bunyan.FATAL });
  const server = await startServer({ ...defaults, address, workDir, ...options }, log, env);
  const client = new Client(grpcTarget(server.address), workDir);
  return {
    client,
    server,
    folder,
    stop: async () => {
      await server.kill();
      client.grpc.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
};
