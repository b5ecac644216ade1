/** A real embedded API server for tests of runtimed: Runs as the operator would assign them, and what became of them. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as E from 'fp-ts/lib/Either.js';
import { filter, firstValueFrom, map, merge, of, Subject, type Subscription, tap } from 'rxjs';

import { type ApiServer, startApiServer } from '../../src/embedded/api/server.js';
import { type KubeClient, kubeClient } from '../../src/io/kube/client.js';
import { runs } from '../../src/model/resources.js';
import { Run, type RunStatus } from '../../src/model/run.js';
import type { Effect } from '../../src/ports.js';
import type { RuntimedKube } from '../../src/runtimed/program.js';
import { informer } from '../../streams/watch/informer.js';

/** One status write of runtimed. */
export type Write = Readonly<{ name: string; accepted: boolean; operations: ReadonlyArray<string> }>;

/** What a Run is made of here. */
export type Spec = Readonly<Record<string, unknown>>;

const answer = async <A>(effect: Effect<A>): Promise<A> => {
  const result = await firstValueFrom(effect);
  if (E.isLeft(result)) throw new Error(result.left.message);
  return result.right;
};

const decode = (object: unknown): Run => {
  const run = Run.decode(object);
  if (E.isLeft(run)) throw new Error('the API holds a Run that does not decode');
  return run.right;
};

export class Api {
  readonly writes: Write[] = [];
  /** Calls of runtimed that cost the API something for as long as they last. */
  readonly calls = { lists: 0, watches: 0 };
  readonly #known = new Map<string, Run>();
  readonly #changes = new Subject<Run>();
  #watch: Subscription | undefined;

  private constructor(
    readonly folder: string,
    private server: ApiServer,
    readonly client: KubeClient,
  ) {
    this.#watch = informer(client, runs, {}, Run, { random: () => 0 }).subscribe((event) => {
      if (event.kind !== 'Apply') return;
      this.#known.set(event.object.metadata.name, event.object);
      this.#changes.next(event.object);
    });
  }

  static async start(): Promise<Api> {
    const folder = await mkdtemp(join(tmpdir(), 'krt-api-'));
    const server = await startApiServer({ dataDir: folder });
    const client = kubeClient(
      {
        server: new URL(server.url),
        ca: server.caPem,
        namespace: 'default',
        headers: () => Promise.resolve({ authorization: `Bearer ${server.adminToken}` }),
      },
      { userAgent: 'test' },
    );
    return new Api(folder, server, client);
  }

  get url(): URL {
    return new URL(this.server.url);
  }

  get token(): string {
    return this.server.adminToken;
  }

  get ca(): string {
    return this.server.caPem;
  }

  /** The client as runtimed gets it: the same, and its calls are noted. */
  get observed(): RuntimedKube {
    const { client, writes, calls } = this;
    return {
      get: client.get,
      list: (...args) => {
        calls.lists += 1;
        return client.list(...args);
      },
      watch: (...args) => {
        calls.watches += 1;
        return client.watch(...args);
      },
      patch: (resource, ref, patch, options) =>
        client.patch(resource, ref, patch, options).pipe(
          tap((result) => {
            const operations =
              patch.type === 'json' ? patch.body.map(({ op, path }) => `${op} ${path}`) : [patch.type];
            writes.push({ name: ref.name, accepted: E.isRight(result), operations });
          }),
        ),
    };
  }

  /** Stops answering; everything is kept. */
  async goAway(): Promise<void> {
    await this.server.close();
  }

  async comeBack(): Promise<void> {
    this.server = await startApiServer({ dataDir: this.folder, port: Number(this.url.port) });
  }

  /** Creates a Run. */
  async create(name: string, spec: Spec): Promise<Run> {
    const body = { apiVersion: 'kruntimes.io/v1alpha1', kind: 'Run', metadata: { name }, spec };
    return decode(await answer(this.client.create(runs, 'default', body)));
  }

  /** Writes a status as the operator would. */
  async setStatus(name: string, status: Readonly<Record<string, unknown>>): Promise<Run> {
    return decode(
      await answer(
        this.client.patch(
          runs,
          { namespace: 'default', name },
          { type: 'merge', body: { status } },
          { subresource: 'status' },
        ),
      ),
    );
  }

  async requestCancel(name: string): Promise<void> {
    await answer(
      this.client.patch(
        runs,
        { namespace: 'default', name },
        { type: 'merge', body: { spec: { cancelRequested: true } } },
      ),
    );
  }

  async delete(name: string): Promise<void> {
    await answer(this.client.delete(runs, { namespace: 'default', name }));
  }

  async read(name: string): Promise<Run> {
    return decode(await answer(this.client.get(runs, { namespace: 'default', name })));
  }

  /** The Run's status as soon as `wanted` holds for it. */
  until(name: string, wanted: (status: RunStatus) => boolean): Promise<RunStatus> {
    const now = this.#known.get(name);
    return firstValueFrom(
      merge(now ? of(now) : of(), this.#changes).pipe(
        filter((run) => run.metadata.name === name && wanted(run.status ?? {})),
        map((run) => run.status ?? {}),
      ),
    );
  }

  /** How many writes of runtimed touched that Run. */
  writesOf(name: string): ReadonlyArray<Write> {
    return this.writes.filter((write) => write.name === name);
  }

  async stop(): Promise<void> {
    this.#watch?.unsubscribe();
    this.client.close();
    await this.server.close();
    await rm(this.folder, { recursive: true, force: true });
  }
}
