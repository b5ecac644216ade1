/**
 * Processor time of the API server alone, per Run: a create, the operator's assignment, the end as runtimed writes it,
 * with three watches open, 64 Runs at a time. Nothing else runs, so what a write costs is seen at a percent.
 *
 *     node --import tsx test/bench/api-writes.ts [--runs N] [--rounds N] [--profile] DIST [DIST]
 *
 * DIST is a folder with a built apiserver.js. With two of them both servers run, and rounds alternate between them:
 * what is printed last is the median of the rounds' ratios, second by first. With --profile each server writes a CPU
 * profile into the working directory when it ends.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';

import * as E from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';
import { firstValueFrom } from 'rxjs';

import { type RunEvent, step } from '../../src/decide/lifecycle.js';
import { type KubeClient, kubeClient } from '../../src/io/kube/client.js';
import { nowMicros } from '../../src/io/wall-clock.js';
import * as kinds from '../../src/model/resources.js';
import { Run, type RunStatus } from '../../src/model/run.js';
import { fencedStatusPatch, statusMergePatch } from '../../src/model/status-patch.js';
import type { Effect } from '../../src/ports.js';
import { closedLoop } from './load.js';
import { ownMs } from './processor-time.js';
import { quantile } from './stats.js';

const WIDTH = 64;
const WARM_UP = 3_000;
const NAMESPACE = 'default';

const answer = async <A>(effect: Effect<A>): Promise<A> => {
  const said = await firstValueFrom(effect);
  if (E.isLeft(said)) throw new Error(`${said.left.kind}: ${said.left.message}`);
  return said.right;
};

const decoded = <A>(type: t.Type<A, unknown>, value: unknown): A => {
  const read = type.decode(value);
  if (E.isLeft(read)) throw new Error(`the server said something else: ${JSON.stringify(value)}`);
  return read.right;
};

type Server = Readonly<{
  pid: number;
  /** Whole lives of Runs, one after the other in each of the lanes. */
  runs: (count: number) => Promise<void>;
  stop: () => Promise<void>;
}>;

const policy = { retry: { maxAttempts: 1, backoffMs: 1_000, reasons: [] }, cancelRequested: false };

const after = (status: RunStatus, event: RunEvent): RunStatus => {
  const next = step(policy, status, event);
  if (E.isLeft(next)) throw new Error(`${event.kind} is refused`);
  return next.right;
};

const started = async (child: ChildProcess, file: string): Promise<void> => {
  while (!existsSync(file)) {
    if (child.exitCode !== null) throw new Error('the API server ended');
    await setTimeout(20);
  }
};

/** A pod of a Runtime, and a token of its runtimed. */
const runtimePod = async (admin: KubeClient): Promise<Readonly<{ uid: string; token: string }>> => {
  const name = 'bench';
  const group = 'rbac.authorization.k8s.io';
  const metadata = { name };
  await answer(
    admin.create(kinds.serviceAccounts, NAMESPACE, { apiVersion: 'v1', kind: 'ServiceAccount', metadata }),
  );
  await answer(
    admin.create(kinds.roles, NAMESPACE, {
      apiVersion: `${group}/v1`,
      kind: 'Role',
      metadata,
      rules: [
        { apiGroups: ['kruntimes.io'], resources: ['runs'], verbs: ['get', 'list', 'watch'] },
        { apiGroups: ['kruntimes.io'], resources: ['runs/status'], verbs: ['patch'] },
      ],
    }),
  );
  await answer(
    admin.create(kinds.roleBindings, NAMESPACE, {
      apiVersion: `${group}/v1`,
      kind: 'RoleBinding',
      metadata,
      roleRef: { apiGroup: group, kind: 'Role', name },
      subjects: [{ kind: 'ServiceAccount', name, namespace: NAMESPACE }],
    }),
  );
  const pod = await answer(
    admin.create(kinds.pods, NAMESPACE, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, labels: { 'kruntimes.io/runtime': 'bench' } },
      spec: { serviceAccountName: name, containers: [{ name: 'work', image: 'none' }] },
    }),
  );
  const { uid } = decoded(t.type({ metadata: t.type({ uid: t.string }) }), pod).metadata;
  const issued = await answer(
    admin.create(
      kinds.serviceAccounts,
      NAMESPACE,
      {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        metadata,
        spec: { audiences: [], boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name, uid } },
      },
      { subresource: 'token' },
    ),
  );
  return { uid, token: decoded(t.type({ status: t.type({ token: t.string }) }), issued).status.token };
};

const startServer = async (dist: string, isProfiled: boolean): Promise<Server> => {
  const dataDir = mkdtempSync(join(tmpdir(), 'krt-api-writes-'));
  const child = spawn(
    process.execPath,
    [
      ...(isProfiled ? ['--cpu-prof', '--cpu-prof-interval', '250'] : []),
      join(resolve(dist), 'apiserver.js'),
      '--data-dir',
      dataDir,
      '--crds',
      resolve('crds'),
    ],
    { stdio: ['ignore', 'inherit', 'ignore'] },
  );
  const { pid } = child;
  if (pid === undefined) throw new Error('no process');
  const file = (name: string): unknown => JSON.parse(readFileSync(join(dataDir, name), 'utf8'));
  await started(child, join(dataDir, 'apiserver.json'));
  const { url } = decoded(t.type({ url: t.string }), file('apiserver.json'));
  const tokens = decoded(t.type({ admin: t.string, operator: t.string }), file('tokens.json'));
  const clients: KubeClient[] = [];
  const as = (userAgent: string, token: string): KubeClient => {
    const client = kubeClient(
      {
        server: new URL(url),
        insecureSkipTlsVerify: true,
        namespace: NAMESPACE,
        headers: async () => ({ authorization: `Bearer ${token}` }),
      },
      { userAgent },
    );
    clients.push(client);
    return client;
  };
  const admin = as('bench/1', tokens.admin);
  const operator = as('kruntimes-controller/1', tokens.operator);
  const pod = await runtimePod(admin);
  const runtimed = as('runtimed/1', pod.token);
  const { resourceVersion } = await answer(admin.list(kinds.runs, { namespace: NAMESPACE }, { limit: 1 }));
  let events = 0;
  const selections = [{}, { namespace: NAMESPACE }, { fieldSelector: 'status.assignedPod=bench' }];
  for (const [index, selection] of selections.entries())
    (index === 0 ? operator : admin)
      .watch(kinds.runs, selection, { resourceVersion, timeoutSeconds: 3_600, idleMs: 3_600_000 })
      .subscribe((frame) => {
        if (E.isLeft(frame)) return;
        events += 1;
      });
  let serial = 0;
  const life = async (): Promise<void> => {
    serial += 1;
    const name = `bench-${serial.toString(36)}`;
    const run = decoded(
      Run,
      await answer(
        admin.create(kinds.runs, NAMESPACE, {
          apiVersion: 'kruntimes.io/v1alpha1',
          kind: 'Run',
          metadata: { name, namespace: NAMESPACE },
          spec: { runtime: 'bench', source: { inline: ':' }, entrypoint: 'script' },
        }),
      ),
    );
    const ref = { namespace: NAMESPACE, name };
    const none: RunStatus = run.status ?? {};
    const assigned = after(none, { kind: 'Assigned', pod: 'bench', podUid: pod.uid, at: nowMicros() });
    const assignment = statusMergePatch(run.metadata.resourceVersion, none, assigned);
    await answer(
      operator.patch(kinds.runs, ref, { type: 'merge', body: assignment }, { subresource: 'status' }),
    );
    const ended = after(assigned, {
      kind: 'AttemptEnded',
      result: { kind: 'Succeeded', exitCode: 0, outputs: {}, artifactRefs: [] },
      startedAt: nowMicros(),
      at: nowMicros(),
      chance: 0,
    });
    const fence = { assignedPodUID: pod.uid, attempt: 1, phase: 'Scheduled' } as const;
    const body = [
      { op: 'test', path: '/metadata/uid', value: run.metadata.uid } as const,
      ...fencedStatusPatch(fence, assigned, ended),
    ];
    await answer(runtimed.patch(kinds.runs, ref, { type: 'json', body }, { subresource: 'status' }));
  };
  return {
    pid,
    runs: async (count) => {
      const from = events;
      await closedLoop(count, WIDTH, life);
      if (events - from < count * 7) throw new Error(`${events - from} events for ${count} Runs`);
    },
    stop: async () => {
      for (const client of clients) client.close();
      child.kill('SIGTERM');
      await once(child, 'exit');
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
};

const median = (values: ReadonlyArray<number>): number => quantile(values, 0.5);

const { values: flags, positionals } = parseArgs({
  options: {
    runs: { type: 'string', default: '500' },
    rounds: { type: 'string', default: '12' },
    profile: { type: 'boolean', default: false },
  },
  allowPositionals: true,
});
const [count, rounds] = [Number(flags.runs), Number(flags.rounds)];
const servers = await Promise.all(positionals.map((dist) => startServer(dist, flags.profile)));
for (const server of servers) await server.runs(WARM_UP);
const perRun: number[][] = servers.map(() => []);
for (let round = 0; round < rounds; round += 1) {
  // Now the one, now the other comes first.
  const order = [...servers.entries()];
  for (const [index, { pid, runs }] of round % 2 === 0 ? order : order.reverse()) {
    const before = ownMs(pid);
    await runs(count);
    perRun[index]?.push((ownMs(pid) - before) / count);
  }
}
for (const [index, took] of perRun.entries())
  process.stdout.write(
    `${positionals[index]}: ${median(took).toFixed(3)} ms per Run (${quantile(took, 0.1).toFixed(3)} to ${quantile(took, 0.9).toFixed(3)})\n`,
  );
for (const took of perRun) process.stdout.write(`${took.map((ms) => ms.toFixed(2)).join(' ')}\n`);
const [first = [], second] = perRun;
if (second !== undefined)
  process.stdout.write(
    `ratio ${median(second.map((took, round) => took / (first[round] ?? Number.NaN))).toFixed(3)}\n`,
  );
for (const server of servers) await server.stop();
process.exit(0);
