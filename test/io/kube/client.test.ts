import type { ServerResponse } from 'node:http';

import { expect } from 'chai';
import * as E from 'fp-ts/lib/Either.js';
import { firstValueFrom, lastValueFrom, type Subscription, tap, toArray } from 'rxjs';

import { type KubeClient, kubeClient, refusalOf } from '../../../src/io/kube/client.js';
import type { EffectError } from '../../../src/model/effect-error.js';
import { leases, nodes, pods, runs, runtimes } from '../../../src/model/resources.js';
import type { Effect, WatchFrame } from '../../../src/ports.js';
import {
  json,
  lines,
  playScenario,
  reset,
  type Scenario,
  type Step,
  silence,
  status,
  text,
} from '../../support/scenario-server.js';
import { standStill } from '../../support/stand-still.js';

const hello = { namespace: 'default', name: 'hello' };
const RUN = '/apis/kruntimes.io/v1alpha1/namespaces/default/runs/hello';
const RUNS = '/apis/kruntimes.io/v1alpha1/namespaces/default/runs';

describe('kubeClient', () => {
  let open: Array<() => Promise<void> | void> = [];
  afterEach(async () => {
    for (const close of open) await close();
    open = [];
  });

  const play = async (
    steps: ReadonlyArray<Step>,
    // Only a guard, unless a test gives its own.
    requestTimeoutMs = 30_000,
  ): Promise<{ scenario: Scenario; kube: KubeClient }> => {
    const scenario = await playScenario(steps);
    const kube = kubeClient(scenario.cluster, { userAgent: 'test/1', requestTimeoutMs });
    open.push(() => kube.close(), scenario.close);
    return { scenario, kube };
  };
  const right = async <A>(effect: Effect<A>): Promise<A> => {
    const answer = await firstValueFrom(effect);
    if (E.isLeft(answer)) throw new Error(`unexpected: ${JSON.stringify(answer.left)}`);
    return answer.right;
  };
  const left = async (effect: Effect<unknown>): Promise<EffectError> => {
    const answer = await firstValueFrom(effect);
    if (E.isRight(answer)) throw new Error(`unexpected success: ${JSON.stringify(answer.right)}`);
    return answer.left;
  };

  describe('requests', () => {
    it('sends credentials, user agent and accept, and returns the object', async () => {
      const { scenario, kube } = await play([
        { method: 'GET', url: RUN, answer: json(200, { kind: 'Run' }) },
      ]);
      expect(await right(kube.get(runs, hello))).to.deep.equal({ kind: 'Run' });
      expect(scenario.received[0]?.headers).to.include({
        authorization: 'Bearer sesame',
        'user-agent': 'test/1',
        accept: 'application/json',
      });
    });

    it('addresses core, cluster-scoped and all-namespace collections, with selectors encoded', async () => {
      const list = json(200, { metadata: { resourceVersion: '7' }, items: [{ a: 1 }] });
      const { kube } = await play([
        { method: 'GET', url: '/api/v1/pods?labelSelector=a%3Db%2Cc', answer: list },
        { method: 'GET', url: '/api/v1/nodes', answer: list },
        {
          method: 'GET',
          url: `${RUNS}?fieldSelector=status.phase%3DPending&limit=2&continue=x%2Fy`,
          answer: list,
        },
      ]);
      expect(await right(kube.list(pods, { labelSelector: 'a=b,c' }))).to.deep.equal({
        items: [{ a: 1 }],
        resourceVersion: '7',
      });
      await right(kube.list(nodes, { namespace: 'ignored' }));
      await right(
        kube.list(
          runs,
          { namespace: 'default', fieldSelector: 'status.phase=Pending' },
          { limit: 2, continue: 'x/y' },
        ),
      );
    });

    it('gives the continue token of a page that is not the last', async () => {
      const { kube } = await play([
        {
          method: 'GET',
          url: RUNS,
          answer: json(200, { metadata: { resourceVersion: '7', continue: 'more' }, items: [] }),
        },
      ]);
      expect(await right(kube.list(runs, { namespace: 'default' }))).to.have.property('continue', 'more');
    });

    it('writes each kind of patch under its content type', async () => {
      const ok = json(200, {});
      const { scenario, kube } = await play([
        { method: 'PATCH', url: `${RUN}/status?fieldValidation=Strict`, answer: ok },
        { method: 'PATCH', url: RUN, answer: ok },
        { method: 'PATCH', url: RUN, answer: ok },
        { method: 'PATCH', url: `${RUN}?dryRun=All&fieldManager=me&force=true`, answer: ok },
      ]);
      await right(
        kube.patch(
          runs,
          hello,
          { type: 'merge', body: { a: 1 } },
          { subresource: 'status', fieldValidation: 'Strict' },
        ),
      );
      await right(kube.patch(runs, hello, { type: 'strategic', body: {} }));
      await right(kube.patch(runs, hello, { type: 'json', body: [{ op: 'remove', path: '/x' }] }));
      await right(
        kube.patch(
          runs,
          hello,
          { type: 'apply', body: {}, fieldManager: 'me', force: true },
          { dryRun: true },
        ),
      );
      expect(scenario.received.map(({ headers }) => headers['content-type'])).to.deep.equal([
        'application/merge-patch+json',
        'application/strategic-merge-patch+json',
        'application/json-patch+json',
        'application/apply-patch+yaml',
      ]);
      expect(scenario.received.map(({ body }) => body)).to.deep.equal([
        '{"a":1}',
        '{}',
        '[{"op":"remove","path":"/x"}]',
        '{}',
      ]);
    });

    it('reads no object in an answer of which only the success counts, but knows what is none, and a refusal', async () => {
      const patch = { type: 'merge', body: {} } as const;
      const { kube } = await play([
        { method: 'PATCH', url: RUN, answer: text(200, '{ no json') },
        { method: 'PATCH', url: RUN, answer: text(200, '<html>') },
        { method: 'PATCH', url: RUN, answer: json(409, status(409, 'Conflict', 'moved')) },
      ]);
      const send = () => kube.patch(runs, hello, patch, { isAnswerUnread: true });
      expect(await right(send())).to.equal(undefined);
      expect(await left(send())).to.have.property('kind', 'Unavailable');
      expect(await left(send())).to.have.property('kind', 'Conflict');
    });

    it('creates, replaces, and deletes with preconditions', async () => {
      const ok = json(200, {});
      const { scenario, kube } = await play([
        { method: 'POST', url: `${RUNS}?fieldManager=krt`, answer: json(201, {}) },
        { method: 'POST', url: '/api/v1/namespaces/default/pods/hello/eviction', answer: json(201, {}) },
        { method: 'PUT', url: RUN, answer: ok },
        { method: 'DELETE', url: RUN, answer: ok },
        { method: 'DELETE', url: RUN, answer: ok },
      ]);
      await right(kube.create(runs, 'default', { metadata: { name: 'hello' } }, { fieldManager: 'krt' }));
      await right(kube.create(pods, 'default', { metadata: { name: 'hello' } }, { subresource: 'eviction' }));
      await right(kube.replace(runs, hello, { metadata: { name: 'hello', resourceVersion: '3' } }));
      await right(kube.delete(runs, hello));
      await right(
        kube.delete(runs, hello, {
          gracePeriodSeconds: 0,
          propagationPolicy: 'Orphan',
          uid: 'u',
          resourceVersion: '9',
        }),
      );
      expect(scenario.received[3]?.body).to.equal('');
      expect(JSON.parse(scenario.received[4]?.body ?? '')).to.deep.equal({
        kind: 'DeleteOptions',
        apiVersion: 'v1',
        gracePeriodSeconds: 0,
        propagationPolicy: 'Orphan',
        preconditions: { uid: 'u', resourceVersion: '9' },
      });
    });

    it('gives any answer raw, and classifies it on demand', async () => {
      const { kube } = await play([
        { method: 'GET', url: '/healthz?verbose=true', answer: text(200, 'ok') },
        { method: 'GET', url: '/nothing', answer: text(404, '404 page not found') },
      ]);
      const fine = await right(kube.raw('GET', '/healthz', { query: { verbose: true } }));
      expect([fine.status, fine.body.toString(), refusalOf('x', fine)]).to.deep.equal([200, 'ok', undefined]);
      const none = await right(kube.raw('GET', '/nothing'));
      expect(refusalOf('get it', none)).to.include({ kind: 'NotFound', status: 404 });
    });
  });

  describe('refusals', () => {
    const refused = async (code: number, body: unknown, headers = {}): Promise<EffectError> => {
      const { kube } = await play([{ method: 'GET', url: RUN, answer: json(code, body, headers) }]);
      return left(kube.get(runs, hello));
    };

    for (const [code, reason, kind] of [
      [400, 'BadRequest', 'Invalid'],
      [401, 'Unauthorized', 'Unauthorized'],
      [403, 'Forbidden', 'Forbidden'],
      [404, 'NotFound', 'NotFound'],
      [409, 'AlreadyExists', 'AlreadyExists'],
      [409, 'Conflict', 'Conflict'],
      [410, 'Expired', 'Gone'],
      [413, 'RequestEntityTooLarge', 'Invalid'],
      [422, 'Invalid', 'Invalid'],
      [429, 'TooManyRequests', 'Unavailable'],
      [500, 'InternalError', 'Unavailable'],
      [503, 'ServiceUnavailable', 'Unavailable'],
      [504, 'Timeout', 'Timeout'],
    ] as const)
      it(`calls ${code} ${reason} ${kind}`, async () => {
        const error = await refused(code, status(code, reason, 'because'));
        expect(error).to.include({ kind, reason, status: code });
        expect(error.message).to.match(/^cannot get Run default\/hello: .*because/);
      });

    it('calls a version that the server does not have yet Gone: it was restored from a copy', async () => {
      const causes = [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }];
      const error = await refused(504, status(504, 'Timeout', 'Too large resource version: 9', { causes }));
      expect(error).to.include({ kind: 'Gone', status: 504 });
    });

    it('keeps a message that names the object as it is', async () => {
      const message = 'runs.kruntimes.io "hello" not found';
      expect(await refused(404, status(404, 'NotFound', message))).to.have.property('message', message);
    });

    it('names missing CRDs where the server does not know the kind', async () => {
      const { kube } = await play([{ method: 'GET', url: RUN, answer: text(404, '404 page not found\n') }]);
      expect((await left(kube.get(runs, hello))).message).to.include('CRDs');
    });

    it('reads Retry-After from the header, else from the Status', async () => {
      const busy = status(429, 'TooManyRequests', 'slow down', { retryAfterSeconds: 7 });
      expect(await refused(429, busy, { 'retry-after': '2' })).to.have.property('retryAfterMs', 2000);
      expect(await refused(429, busy)).to.have.property('retryAfterMs', 7000);
    });

    it('lists the causes of a schema violation', async () => {
      const causes = [{ reason: 'FieldValueInvalid', field: 'spec.timeout', message: 'is no duration' }];
      expect(await refused(422, status(422, 'Invalid', 'bad', { causes }))).to.deep.include({
        kind: 'Invalid',
        causes: [{ field: 'spec.timeout', message: 'is no duration' }],
      });
    });

    it('tells a refused JSON patch test from a schema violation', async () => {
      const generic = 'the server rejected our request due to an error in our request';
      const causes = [{ field: 'status.phase', reason: 'FieldValueInvalid', message: 'is terminal' }];
      const bare = { causes: [{ reason: '', message: 'testing path /a value failed' }] };
      const { kube } = await play([
        { method: 'PATCH', url: RUN, answer: json(422, status(422, 'Invalid', generic)) },
        { method: 'PATCH', url: RUN, answer: json(422, status(422, 'Invalid', generic, bare)) },
        { method: 'PATCH', url: RUN, answer: json(422, status(422, 'Invalid', 'no', { causes })) },
        { method: 'PATCH', url: RUN, answer: json(422, status(422, 'Invalid', generic)) },
      ]);
      const test = { type: 'json', body: [{ op: 'test', path: '/a', value: 1 }] } as const;
      expect((await left(kube.patch(runs, hello, test))).kind).to.equal('Conflict');
      expect((await left(kube.patch(runs, hello, test))).kind).to.equal('Conflict');
      expect((await left(kube.patch(runs, hello, test))).kind).to.equal('Invalid');
      expect((await left(kube.patch(runs, hello, { type: 'merge', body: {} }))).kind).to.equal('Invalid');
    });
  });

  describe('connections', () => {
    it('reuses one connection for requests in sequence', async () => {
      const step: Step = { method: 'GET', url: RUN, answer: json(200, {}) };
      const { scenario, kube } = await play(Array.from({ length: 20 }, () => step));
      for (let i = 0; i < 20; i++) await right(kube.get(runs, hello));
      await scenario.finished();
      expect(scenario.connections()).to.equal(1);
    });

    it('opens at most 32 connections for requests at once', async () => {
      const step: Step = { method: 'GET', url: RUN, answer: json(200, {}) };
      const { scenario, kube } = await play(Array.from({ length: 100 }, () => step));
      await Promise.all(Array.from({ length: 100 }, () => right(kube.get(runs, hello))));
      await scenario.finished();
      expect(scenario.connections()).to.be.within(2, 32);
    });

    it('repeats an idempotent request once when a kept connection is closed under it', async () => {
      const { scenario, kube } = await play([
        { method: 'GET', url: RUN, answer: json(200, { n: 1 }) },
        { method: 'GET', url: RUN, answer: reset },
        { method: 'GET', url: RUN, answer: json(200, { n: 2 }) },
      ]);
      await right(kube.get(runs, hello));
      expect(await right(kube.get(runs, hello))).to.deep.equal({ n: 2 });
      await scenario.finished();
      expect(scenario.connections()).to.equal(2);
    });

    it('repeats neither a patch nor a request on a fresh connection', async () => {
      const { scenario, kube } = await play([
        { method: 'GET', url: RUN, answer: reset },
        { method: 'GET', url: RUN, answer: json(200, {}) },
        { method: 'PATCH', url: RUN, answer: reset },
      ]);
      expect(await left(kube.get(runs, hello))).to.have.property('kind', 'Unavailable');
      await right(kube.get(runs, hello));
      const error = await left(kube.patch(runs, hello, { type: 'merge', body: {} }));
      expect(error.kind).to.equal('Unavailable');
      expect(error.message).to.include('cannot patch Run default/hello').and.include('closed the connection');
      await scenario.finished();
    });

    it('gives up after the request timeout, naming the server', async () => {
      const { scenario, kube } = await play([{ method: 'GET', url: RUN, answer: silence }], 50);
      const error = await left(kube.get(runs, hello));
      expect(error.kind).to.equal('Timeout');
      expect(error.message).to.include(scenario.cluster.server.origin).and.include('0.05 s');
      // On a busy machine there may not even be a connection by then.
      if (scenario.received.length > 0) await scenario.aborted(0);
    });

    it('calls an answer cut in the middle Unavailable', async () => {
      const { kube } = await play([
        {
          method: 'GET',
          url: RUN,
          answer: (response, breakOff) => {
            response.writeHead(200, { 'content-length': '100' });
            response.write('{"kind":', breakOff);
          },
        },
      ]);
      expect(await left(kube.get(runs, hello))).to.have.property('kind', 'Unavailable');
    });

    it('aborts the request on unsubscribing', async () => {
      const subscriptions: Subscription[] = [];
      const { scenario, kube } = await play([
        { method: 'GET', url: RUN, answer: () => subscriptions[0]?.unsubscribe() },
      ]);
      let answered = false;
      subscriptions.push(
        kube.get(runs, hello).subscribe(() => {
          answered = true;
        }),
      );
      await scenario.aborted(0);
      expect(answered).to.equal(false);
    });

    it('says which server refused the connection and what to try', async () => {
      const { scenario, kube } = await play([]);
      await scenario.close();
      const error = await left(kube.get(runs, hello));
      expect(error.kind).to.equal('Unavailable');
      expect(error.message).to.include(scenario.cluster.server.origin).and.include('krt up');
      open = [];
      kube.close();
    });

    it('trusts nobody but the CA of the cluster', async () => {
      const scenario = await playScenario([]);
      const { ca: _, ...cluster } = scenario.cluster;
      const kube = kubeClient(cluster, { userAgent: 'test/1' });
      open.push(() => kube.close(), scenario.close);
      expect((await left(kube.get(runs, hello))).message).to.include('certificate-authority did not sign');
    });
  });

  describe('watch', () => {
    const WATCH = /^\/apis\/kruntimes\.io\/v1alpha1\/namespaces\/default\/runs\?/;
    const options = { resourceVersion: '5', timeoutSeconds: 300, idleMs: 30_000 };
    const run = (version: string): unknown => ({ metadata: { name: 'a', resourceVersion: version } });
    const watchAll = async (
      answer: Step['answer'],
      over: Partial<typeof options> = {},
      headersMs?: number,
    ): Promise<ReadonlyArray<E.Either<EffectError, WatchFrame>>> => {
      const { kube } = await play([{ method: 'GET', url: WATCH, answer }], headersMs);
      const frames$ = kube.watch(runs, { namespace: 'default' }, { ...options, ...over });
      return lastValueFrom(frames$.pipe(toArray()));
    };
    const opened = E.right({ type: 'BOOKMARK', resourceVersion: '5' });

    it('asks for bookmarks from the version on, and ends with the server', async () => {
      const { scenario, kube } = await play([
        {
          method: 'GET',
          url: WATCH,
          answer: lines(
            [
              { type: 'ADDED', object: run('6') },
              { type: 'BOOKMARK', object: run('9') },
            ],
            'end',
          ),
        },
      ]);
      const frames = await lastValueFrom(
        kube.watch(runs, { namespace: 'default', labelSelector: 'a' }, options).pipe(toArray()),
      );
      expect(frames).to.deep.equal([
        opened,
        E.right({ type: 'ADDED', object: run('6') }),
        E.right({ type: 'BOOKMARK', resourceVersion: '9' }),
      ]);
      const query = new URLSearchParams(scenario.received[0]?.url.split('?')[1]);
      expect(Object.fromEntries(query)).to.deep.equal({
        labelSelector: 'a',
        watch: '1',
        allowWatchBookmarks: 'true',
        resourceVersion: '5',
        timeoutSeconds: '300',
      });
    });

    it('reads lines cut anywhere, also within a character', async () => {
      const bytes = Buffer.from(`${JSON.stringify({ type: 'MODIFIED', object: { text: 'Grüße 🚀' } })}\n`);
      const frames = await watchAll((response) => {
        response.writeHead(200);
        response.flushHeaders();
        response.socket?.setNoDelay(true);
        const sendFrom = (i: number): void => {
          if (i === bytes.length) response.end();
          else response.write(bytes.subarray(i, i + 1), () => setImmediate(sendFrom, i + 1));
        };
        sendFrom(0);
      });
      expect(frames).to.deep.equal([opened, E.right({ type: 'MODIFIED', object: { text: 'Grüße 🚀' } })]);
    });

    it('says Gone for 410 as an answer and as an ERROR frame', async () => {
      const gone = status(410, 'Expired', 'too old resource version');
      const [first] = await watchAll(json(410, gone));
      expect(first).to.have.nested.property('left.kind', 'Gone');
      const [, second, ...rest] = await watchAll(
        lines([
          { type: 'ERROR', object: gone },
          { type: 'ADDED', object: run('1') },
        ]),
      );
      expect(second).to.have.nested.property('left.kind', 'Gone');
      expect(rest).to.deep.equal([]);
    });

    it('says Unavailable for a reset, a line that is not JSON, and JSON that is no frame', async () => {
      for (const answer of [
        lines([{ type: 'ADDED', object: run('6') }], 'reset'),
        lines([{ type: 'ADDED', object: run('6') }, '<html>']),
        lines([{ type: 'ADDED', object: run('6') }, { type: 'ADDED' }]),
      ]) {
        const frames = await watchAll(answer);
        expect(frames).to.have.length(3);
        expect(frames[2]).to.have.nested.property('left.kind', 'Unavailable');
      }
    });

    it('says Timeout when headers do not come, and after silence', async () => {
      const [noHeaders] = await watchAll(silence, {}, 200);
      expect(noHeaders).to.have.nested.property('left.kind', 'Timeout');
      const frames = await watchAll(lines([{ type: 'ADDED', object: run('6') }]), { idleMs: 60 });
      expect(frames).to.have.length(3);
      expect(frames[2]).to.have.nested.property('left.kind', 'Timeout');
      expect(frames[2]).to.have.nested.property('left.message').that.includes('silent for 0.06 s');
    });

    it('takes every byte for a sign of life', async () => {
      const frames = await watchAll(
        (response) => {
          response.writeHead(200);
          const sendFrom = (i: number): void => {
            if (i === 6) response.end();
            else
              response.write(`${JSON.stringify({ type: 'ADDED', object: run(`${i}`) })}\n`, () =>
                later(i + 1),
              );
          };
          const later = (i: number): void => {
            setTimeout(sendFrom, 100, i);
          };
          sendFrom(0);
        },
        { idleMs: 400 },
      );
      expect(frames.filter(E.isRight)).to.have.length(7);
      expect(frames).to.have.length(7);
    });

    it('does not take its own standing still for silence', async () => {
      const idleMs = 300;
      let answer: ServerResponse | undefined;
      const { kube } = await play([
        {
          method: 'GET',
          url: WATCH,
          answer: (response) => {
            answer = response;
            lines([{ type: 'ADDED', object: run('6') }])(response, () => undefined);
          },
        },
      ]);
      const frames = await lastValueFrom(
        kube.watch(runs, { namespace: 'default' }, { ...options, idleMs }).pipe(
          tap((frame) => {
            if (!E.isRight(frame) || frame.right.type !== 'ADDED') return;
            // The end is in the socket, unread, when the process stands still for longer than the limit.
            answer?.end();
            setImmediate(standStill, idleMs + 50);
          }),
          toArray(),
        ),
      );
      expect(frames.map(E.isRight)).to.deep.equal([true, true]);
    });

    it('uses a connection of its own, closed on unsubscribing', async () => {
      const { scenario, kube } = await play([
        { method: 'GET', url: RUN, answer: json(200, {}) },
        { method: 'GET', url: WATCH, answer: lines([{ type: 'ADDED', object: run('6') }]) },
        { method: 'GET', url: RUN, answer: json(200, {}) },
      ]);
      await right(kube.get(runs, hello));
      await firstValueFrom(kube.watch(runs, { namespace: 'default' }, options));
      await scenario.aborted(1);
      await right(kube.get(runs, hello));
      expect(scenario.received.map(({ connection }) => connection)).to.deep.equal([0, 1, 0]);
    });

    it('decodes 10,000 events fast enough for a relist storm', async () => {
      const object = { metadata: { name: 'a', resourceVersion: '6' }, spec: { text: 'x'.repeat(1700) } };
      const line = `${JSON.stringify({ type: 'ADDED', object })}\n`;
      const { kube } = await play([
        {
          method: 'GET',
          url: WATCH,
          answer: (response) => {
            response.writeHead(200);
            response.end(line.repeat(10_000));
          },
        },
      ]);
      const begin = performance.now();
      const cpu = process.cpuUsage();
      let count = 0;
      await lastValueFrom(
        kube.watch(runs, { namespace: 'default' }, options).pipe(
          tap(() => {
            count += 1;
          }),
        ),
      );
      const ms = performance.now() - begin;
      const { user, system } = process.cpuUsage(cpu);
      expect(count).to.equal(10_001);
      console.log(
        `      10k events of ${line.length} B in ${ms.toFixed(0)} ms, ${((user + system) / 10_000).toFixed(1)} us CPU each (server included)`,
      );
    });
  });

  describe('stream', () => {
    it('gives bytes as they come and completes, or one Left', async () => {
      const url = '/api/v1/namespaces/default/pods/p/log?follow=true&container=c';
      const { kube } = await play([
        { method: 'GET', url, answer: text(200, 'one\ntwo\n') },
        { method: 'GET', url, answer: json(400, status(400, 'BadRequest', 'container is waiting')) },
      ]);
      const path = '/api/v1/namespaces/default/pods/p/log';
      const query = { follow: true, container: 'c' };
      const good = await lastValueFrom(kube.stream(path, query).pipe(toArray()));
      expect(
        Buffer.concat(good.map((part) => (E.isRight(part) ? part.right : new Uint8Array()))).toString(),
      ).to.equal('one\ntwo\n');
      const bad = await lastValueFrom(kube.stream(path, query).pipe(toArray()));
      expect(bad).to.have.length(1);
      expect(bad[0]).to.have.nested.property('left.message').that.includes('container is waiting');
    });
  });

  it('knows every resource it is asked about by group and scope', async () => {
    const { kube } = await play([
      { method: 'GET', url: '/apis/coordination.k8s.io/v1/namespaces/a/leases/l', answer: json(200, {}) },
      { method: 'GET', url: '/apis/kruntimes.io/v1alpha1/namespaces/a/runtimes/r', answer: json(200, {}) },
    ]);
    await right(kube.get(leases, { namespace: 'a', name: 'l' }));
    await right(kube.get(runtimes, { namespace: 'a', name: 'r' }));
  });
});
