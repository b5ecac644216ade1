/**
 * Bugs to plant: the product with one thing changed. The checker has to find each of them; what it has to say is beside.
 *
 * They are planted at the ports and in Holdings, so that all the rest stays the product's own code.
 */
import * as E from 'fp-ts/lib/Either.js';
import { map, Observable } from 'rxjs';

import type { Moment } from '../../src/decide/sidecar/attempt.js';
import { type Command, Holdings, type Input, type Pod } from '../../src/decide/sidecar/holdings.js';
import type { KubePort, SessionPort } from '../../src/ports.js';
import type { SidecarEffects } from '../../streams/runtimed.js';

/** A bug, and the claims by which it may be found. */
export type Mutant = Readonly<{
  name: string;
  breaks: ReadonlyArray<string>;
  /** Stories in which it can show. */
  stories: ReadonlyArray<string>;
  /** Deviations of the first of them that show it, where looking for them takes long. */
  path?: ReadonlyArray<Readonly<{ step: number; choice: string }>>;
  /** The API as the writer of statuses in the pod uses it. */
  writerKube?: (kube: KubePort) => KubePort;
  effectOfWrite?: (write: SidecarEffects['writeStatus']) => SidecarEffects['writeStatus'];
  operatorKube?: (kube: KubePort) => KubePort;
  sessionPort?: (port: SessionPort) => SessionPort;
  holdings?: (pod: Pod) => Holdings;
  readoptsNothing?: true;
  forgetfulServer?: true;
}>;

/** Holdings that do not hear of some inputs. */
class Deaf extends Holdings {
  readonly #hears: (input: Input) => boolean;

  constructor(pod: Pod, hears: (input: Input) => boolean) {
    super(pod);
    this.#hears = hears;
  }

  override reduce(input: Input, moment: Moment): ReadonlyArray<Command> {
    return this.#hears(input) ? super.reduce(input, moment) : [];
  }
}

/** Holdings whose commands are changed on their way out. */
class Altered extends Holdings {
  readonly #alter: (command: Command) => ReadonlyArray<Command>;

  constructor(pod: Pod, alter: (command: Command) => ReadonlyArray<Command>) {
    super(pod);
    this.#alter = alter;
  }

  override reduce(input: Input, moment: Moment): ReadonlyArray<Command> {
    return super.reduce(input, moment).flatMap(this.#alter);
  }
}

/** Holdings to whom what was given up for lost is gone. */
class Hopeful extends Holdings {
  override get hasStrays(): boolean {
    return false;
  }
}

const withoutVersion = (body: unknown): unknown => {
  const { metadata: _metadata, ...rest } = body as Readonly<Record<string, unknown>>;
  return rest;
};

/** All of them. */
export const MUTANTS: ReadonlyArray<Mutant> = [
  {
    name: 'the fence is removed from what runtimed writes',
    breaks: ['terminal is for ever', 'phases step as allowed', 'a result that was written happened'],
    stories: ['short', 'long'],
    writerKube: (kube) => ({
      ...kube,
      patch: (resource, ref, patch, options) =>
        kube.patch(
          resource,
          ref,
          patch.type === 'json' ? { ...patch, body: patch.body.filter(({ op }) => op !== 'test') } : patch,
          options,
        ),
    }),
  },
  {
    name: 'the operator writes without looking at the version: double assignment',
    breaks: [
      'an assignment ends before another begins',
      'terminal is for ever',
      'phases step as allowed',
      'nothing is assigned once cancelled',
      'no end while the process lives',
    ],
    stories: ['standby', 'short', 'cancelled'],
    operatorKube: (kube) => ({
      ...kube,
      patch: (resource, ref, patch, options) =>
        kube.patch(
          resource,
          ref,
          patch.type === 'merge' && resource.plural === 'runs'
            ? { ...patch, body: withoutVersion(patch.body) }
            : patch,
          options,
        ),
    }),
  },
  {
    name: 'a conflict is taken for success: what is not durable is pushed',
    breaks: ['no execution without an assignment', 'every Run ends'],
    stories: ['short', 'cancelled', 'standby'],
    operatorKube: (kube) => ({
      ...kube,
      patch: (resource, ref, patch, options) =>
        kube
          .patch(resource, ref, patch, options)
          .pipe(
            map((answer) => (E.isLeft(answer) && answer.left.kind === 'Conflict' ? E.right({}) : answer)),
          ),
    }),
  },
  {
    name: 'a lost answer to the write of an end is taken for success, never repeated',
    breaks: ['every Run ends'],
    stories: ['short', 'long'],
    writerKube: (kube) => ({
      ...kube,
      patch: (resource, ref, patch, options) =>
        kube
          .patch(resource, ref, patch, options)
          .pipe(
            map((answer) => (E.isLeft(answer) && answer.left.kind === 'Unavailable' ? E.right({}) : answer)),
          ),
    }),
  },
  {
    name: 'a write that failed once is given up',
    breaks: ['every Run ends'],
    stories: ['short', 'long'],
    writerKube: (kube) => ({
      ...kube,
      patch: (resource, ref, patch, options) =>
        new Observable((caller) =>
          kube.patch(resource, ref, patch, options).subscribe((answer) => {
            if (E.isLeft(answer) && answer.left.kind === 'Unavailable') return;
            caller.next(answer);
            caller.complete();
          }),
        ),
    }),
  },
  {
    name: 'cancellation does not reach the pod',
    breaks: ['every Run ends'],
    stories: ['cancelled'],
    sessionPort: (port) => ({ ...port, cancel: () => true }),
  },
  {
    name: 'a stop is not repeated to the Runtime Server',
    breaks: ['every Run ends'],
    stories: ['cancelled'],
    holdings: (pod) => new Altered(pod, (command) => (command.kind === 'CancelExecution' ? [] : [command])),
  },
  {
    name: 'a push that was lost is never repeated',
    breaks: ['every Run ends'],
    stories: ['short'],
    sessionPort: (port) => {
      const pushed = new Set<string>();
      return {
        ...port,
        assign: (pod, attempt, run) => {
          const name = `${attempt.runUid} ${attempt.attempt}`;
          if (pushed.has(name)) return true;
          pushed.add(name);
          return port.assign(pod, attempt, run);
        },
      };
    },
  },
  {
    name: 're-adoption is forgotten',
    breaks: ['ExecutionLost is said of what is lost', 'an attempt is executed once', 'every Run ends'],
    stories: ['long', 'short'],
    readoptsNothing: true,
  },
  {
    name: 'Execute twice starts twice',
    breaks: ['an attempt is executed once'],
    stories: ['short'],
    // The news of the start is late, and the answer to Execute is lost.
    path: [
      { step: 10, choice: 'hold 12000 ms' },
      { step: 10, choice: 'lose' },
    ],
    forgetfulServer: true,
  },
  {
    name: 'the loss of executions is not noticed when the Runtime Server returns',
    breaks: ['every Run ends'],
    stories: ['long'],
    holdings: (pod) => new Deaf(pod, (input) => input.kind !== 'ServerSynced'),
  },
  {
    name: 'the room of what was given up is free while it lives',
    breaks: ['a pod never runs more than its capacity'],
    stories: ['short'],
    path: [{ step: 8, choice: 'server of pod-0 is silent 75s' }],
    holdings: (pod) => new Hopeful(pod),
  },
  {
    name: 'what is taken away by the API is not stopped',
    breaks: ['every Run ends', 'one live execution of a Run', 'no room is lost'],
    stories: ['cancelled'],
    sessionPort: (port) => ({ ...port, cancel: () => false }),
    holdings: (pod) =>
      new Deaf(
        pod,
        (input) =>
          input.kind !== 'Vanished' && !(input.kind === 'Attempt' && input.input.kind === 'StopAsked'),
      ),
  },
  {
    name: 'what has ended is not cleaned away',
    breaks: ['every Run ends'],
    stories: ['short'],
    holdings: (pod) => new Altered(pod, (command) => (command.kind === 'Clean' ? [] : [command])),
  },
  {
    name: 'the end is written before the process has ended',
    breaks: ['a result that was written happened', 'no end while the process lives', 'every Run ends'],
    stories: ['long'],
    effectOfWrite: (write) => {
      const early = new Set<string>();
      return (assignment, event) => {
        if (event.kind !== 'Started' || early.has(assignment.ref.uid)) return write(assignment, event);
        early.add(assignment.ref.uid);
        const result = { kind: 'Succeeded', exitCode: 0, outputs: { token: '' }, artifactRefs: [] } as const;
        return write(assignment, { kind: 'AttemptEnded', result, at: event.at, chance: 0 });
      };
    },
  },
  {
    name: 'alarms do not ring',
    breaks: ['every Run ends'],
    stories: ['timeout'],
    holdings: (pod) => new Deaf(pod, (input) => input.kind !== 'Rang'),
  },
];
