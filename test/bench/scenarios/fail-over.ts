/**
 * Two operators, one Lease: the leader is killed without a word; how long is nothing dispatched? A Run is created every
 * few milliseconds throughout, so the gap is seen from outside: between the last Run placed by the one and the first
 * placed by the other.
 */
import * as E from 'fp-ts/lib/Either.js';

import { runs } from '../../../src/model/resources.js';
import { answer } from '../../e2e/attach.js';
import { createFleetRuntime, createRuns } from '../fleet/cohort.js';
import { simulate } from '../fleet/simulated-pods.js';
import { type Operator, openStage, type Stage } from '../fleet/stage.js';
import type { Bench, Figures, Scenario } from '../scenario.js';
import { summary } from '../stats.js';

const EVERY_MS = 20;
/** The address that pods are told, the same by both as that of a Service: another would be another pod template. */
const FLAGS = ['--sessions-url', 'https://localhost:9443'];
const PODS = 4;
const SLOTS = 1_000;
/** Longest wait for a dispatch before the bench gives up, milliseconds. */
const PATIENCE_MS = 60_000;

/** Milliseconds between the last dispatch before `end` of the leader and the first after it. */
const gapOf = async (
  stage: Stage,
  tag: string,
  end: () => Promise<void>,
): Promise<Readonly<{ gapMs: number; lost: number }>> => {
  const { resourceVersion } = await answer(stage.kube.list(runs, { namespace: 'default' }, { limit: 1 }));
  let isOver = false;
  let ended = Infinity;
  let last = Number.NaN;
  let first = Number.NaN;
  const dispatched = new Set<string>();
  const watching = stage.kube
    .watch(runs, { namespace: 'default' }, { resourceVersion, timeoutSeconds: 3_600, idleMs: 3_600_000 })
    .subscribe((frame) => {
      if (E.isLeft(frame) || frame.right.type === 'BOOKMARK') return;
      const { metadata, status } = frame.right.object as {
        metadata: { name: string };
        status?: { assignedPod?: string };
      };
      if (status?.assignedPod === undefined || dispatched.has(metadata.name)) return;
      if (!metadata.name.startsWith(tag)) return;
      dispatched.add(metadata.name);
      const at = performance.now();
      if (at < ended) last = at;
      else if (Number.isNaN(first)) first = at;
    });
  let created = 0;
  const creating = (async () => {
    while (!isOver) {
      created += 1;
      await createRuns(stage.kube, 'fleet', 1, 1, () => `${tag}-${created}`);
      await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
    }
  })();
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  await end();
  ended = performance.now();
  while (Number.isNaN(first) && performance.now() - ended < PATIENCE_MS)
    await new Promise((resolve) => setTimeout(resolve, 10));
  isOver = true;
  await creating;
  while (dispatched.size < created && performance.now() - ended < 2 * PATIENCE_MS)
    await new Promise((resolve) => setTimeout(resolve, 100));
  watching.unsubscribe();
  return { gapMs: first - last, lost: created - dispatched.size };
};

/** The place in the list of the one that leads. */
const leaderOf = async (operators: ReadonlyArray<Operator>): Promise<number> => {
  for (let looks = 0; looks < 600; looks += 1) {
    for (const [place, operator] of operators.entries())
      if ((await operator.metric('kruntimes_leading')) === 1) return place;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error('no operator leads');
};

const measure = async (bench: Bench): Promise<Figures> => {
  const rounds = bench.parameter('rounds', 3);
  const killed: number[] = [];
  const asked: number[] = [];
  const errors: string[] = [];
  const stage = await openStage();
  try {
    const operators = [await stage.operator({ flags: FLAGS }), await stage.operator({ flags: FLAGS })];
    const fleet = simulate({
      kube: stage.kube,
      namespace: 'default',
      runtime: 'fleet',
      folder: bench.folder,
      fateOf: () => 'ends',
      operatorUrls: operators.map(({ sessionsUrl }) => sessionsUrl),
    });
    await createFleetRuntime(stage.kube, 'fleet', PODS, SLOTS);
    await fleet.whenOpen(PODS);
    for (let round = 0; round < rounds; round += 1)
      for (const how of ['kill', 'stop'] as const) {
        bench.say(
          `round ${round + 1} of ${rounds}: the leader is ${how === 'kill' ? 'killed' : 'told to stop'}`,
        );
        const place = await leaderOf(operators);
        const leader = operators[place];
        if (leader === undefined) throw new Error('no operator leads');
        const { gapMs, lost } = await gapOf(stage, `${how}-${round}`, leader[how]);
        (how === 'kill' ? killed : asked).push(gapMs);
        if (Number.isNaN(gapMs)) errors.push(`round ${round + 1}: nothing was dispatched after the ${how}`);
        if (lost > 0) errors.push(`round ${round + 1}: ${lost} Runs were never dispatched after the ${how}`);
        // In its place and on its port, as a Deployment would.
        operators[place] = await stage.operator({ flags: FLAGS, sessionsUrl: leader.sessionsUrl });
      }
    errors.push(...fleet.errors());
    fleet.stop();
    for (const operator of operators) await operator.stop();
  } finally {
    await stage.stop();
  }
  return {
    parameters: { rounds, pods: PODS, 'a Run every ms': EVERY_MS },
    rows: [
      { label: 'without dispatch after kill -9', unit: 'ms', values: summary(killed) },
      { label: 'without dispatch after SIGTERM', unit: 'ms', values: summary(asked) },
    ],
    targets: [],
    errors,
    raw: { killedMs: killed, askedMs: asked },
  };
};

export const failOver: Scenario = {
  name: 'j',
  question: 'fail-over: two operators, the leader dies',
  measure,
};
