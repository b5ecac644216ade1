/**
 * Git sources: what does a Run wait for its files, the first and the second time, beside the same Run inline? In each
 * round, one after the other: a repository that the pod never had, another commit of it, that commit again, inline. The
 * server is git's own, in this process: what a network adds is not in these figures.
 */
import { cpSync, mkdtempSync } from 'node:fs';
import { join } from 'node:path';

import { createAuthority } from '../../../src/io/session/certificates.js';
import { runtimes, secrets } from '../../../src/model/resources.js';
import { answer } from '../../e2e/attach.js';
import { ARepository } from '../../io/git/a-repository.js';
import { GitHttpServer } from '../../io/git/http-server.js';
import { seeded } from '../load.js';
import { openRuns, type Sample } from '../runs.js';
import type { Bench, Figures, Scenario } from '../scenario.js';
import { quantile, summary } from '../stats.js';
import { failures, noOp, warmUp } from './one-run.js';

const KINDS = [
  'a repository for the first time',
  'another commit of it',
  'that commit again',
  'inline',
] as const;

const text = (random: () => number, bytes: number): string =>
  Array.from({ length: Math.ceil(bytes / 8) }, () => random().toString(36).slice(2, 10).padEnd(8, '\n')).join(
    '',
  );

const measure = async (bench: Bench): Promise<Figures> => {
  const parameters = {
    rounds: bench.parameter('rounds', 30),
    files: bench.parameter('files', 200),
    bytesEach: bench.parameter('bytes-each', 5_000),
  };
  const plane = await bench.plane();
  const root = mkdtempSync(join(bench.folder, 'git-'));
  const server = await GitHttpServer.start(root, await createAuthority());
  const { kube, namespace } = plane;
  const runtime = await plane.runtime({ pods: 1, slots: 4 });
  const data = { 'ca.crt': Buffer.from(server.ca).toString('base64') };
  await answer(
    kube.create(secrets, namespace, {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'bench-git' },
      data,
    }),
  );
  const git = { credentials: [{ host: server.host, secretName: 'bench-git' }] };
  await answer(
    kube.patch(runtimes, { namespace, name: runtime }, { type: 'merge', body: { spec: { git } } }),
  );

  const random = seeded(1);
  const tree = Object.fromEntries(
    Array.from({ length: parameters.files }, (_, n) => [
      `src/d${n % 20}/f${n}`,
      text(random, parameters.bytesEach),
    ]),
  );
  const repo = new ARepository(join(root, 'origin.git'));
  repo.commit({ ...tree, 'run.sh': ':' });
  const runs = await openRuns(plane);
  const of = (name: string, commitSHA: string) => ({
    runtime,
    source: { repoURL: server.url(`${name}.git`), commitSHA },
    entrypoint: 'run.sh',
  });
  const samples: Record<(typeof KINDS)[number], Sample[]> = {
    'a repository for the first time': [],
    'another commit of it': [],
    'that commit again': [],
    inline: [],
  };
  bench.say('warming up, on the pod with the credentials');
  await warmUp(runs, of('origin', repo.tip('main') ?? ''), bench.parameter('warm-up', 30), 1);
  await warmUp(runs, noOp(runtime), bench.parameter('warm-up', 30), 1);
  for (let round = 0; round < parameters.rounds; round += 1) {
    const first = repo.commit({ ...tree, 'run.sh': ':', round: `${round}` });
    const second = repo.commit({ ...tree, 'run.sh': ':', round: `${round}`, more: 'x' });
    const name = `copy-${round}`;
    cpSync(repo.path, join(root, `${name}.git`), { recursive: true });
    const specs = [of(name, first), of(name, second), of(name, second), noOp(runtime)];
    for (const [at, kind] of KINDS.entries()) {
      const spec = specs[at];
      if (spec) samples[kind].push(await runs.run(runs.name(), spec));
    }
  }
  runs.close();
  await server.stop();
  const whole = (kind: (typeof KINDS)[number]): number[] => samples[kind].map((run) => run.seen - run.began);
  const median = (kind: (typeof KINDS)[number]): number => quantile(whole(kind), 0.5);
  return {
    parameters,
    rows: [
      ...KINDS.map((kind) => ({
        label: `create → end seen: ${kind}`,
        unit: 'ms',
        values: summary(whole(kind)),
      })),
      {
        label: 'first time / again',
        unit: 'x',
        values: median('a repository for the first time') / median('that commit again'),
      },
      { label: 'again / inline', unit: 'x', values: median('that commit again') / median('inline') },
    ],
    targets: [],
    errors: failures(Object.values(samples).flat()),
    raw: Object.fromEntries(KINDS.map((kind) => [kind, whole(kind)])),
  };
};

export const gitSourcesRun: Scenario = {
  name: 'git',
  question: 'a Git source: the first Run of a repository, the next commit, the same commit again, and inline',
  measure,
};
