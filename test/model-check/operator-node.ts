/** An operator of the model: streams/operator.ts as it is, over the model's API, sessions and Lease. */
import { BehaviorSubject, Subject, type Subscription } from 'rxjs';

import { objectKey, type PodUid, type RunUid } from '../../src/model/ids.js';
import type { AttemptRef, SessionEvent } from '../../src/model/session.js';
import { micros } from '../../src/model/time.js';
import type { World } from '../../src/model/world.js';
import type { KubePort, SessionPort } from '../../src/ports.js';
import type { FromOperator, FromRuntimed } from '../../src/proto/gen/session.js';
import { operator } from '../../streams/operator.js';
import { SETTINGS } from './fixtures.js';
import type { Link } from './link.js';
import type { Process } from './process.js';

/** Longer than any story: the model has no beats, a silent peer is noticed by an event of its own. */
const NEVER_MS = 1_000_000_000;

export type OperatorOptions = Readonly<{
  process: Process;
  kube: KubePort;
  nowMs: () => number;
  /** Changes what the operator says to pods; for planted bugs. */
  sessionPort?: ((port: SessionPort) => SessionPort) | undefined;
  onDefect: (cause: unknown) => void;
}>;

/** One life of an operator. */
export class OperatorNode {
  readonly process: Process;
  /** It leads and its caches are full: it takes sessions. */
  isDeciding = false;
  world: World | undefined;
  readonly #open = new Map<PodUid, Link>();
  readonly #events = new Subject<SessionEvent>();
  readonly #leads = new BehaviorSubject<Readonly<{ isStillLeading: () => boolean }> | undefined>(undefined);
  readonly #subscription: Subscription;

  constructor({ process, kube, nowMs, sessionPort = (port) => port, onDefect }: OperatorOptions) {
    this.process = process;
    const send = (pod: PodUid, message: FromOperator): boolean => {
      const link = this.#open.get(pod);
      link?.toPod(message);
      return link !== undefined;
    };
    const wire = ({ runName, runUid, attempt }: AttemptRef) => ({ runName, runUid, attempt });
    this.#subscription = operator({
      kube,
      sessions: sessionPort({
        events$: this.#events,
        assign: (pod, attempt, run) =>
          send(pod, {
            message: { $case: 'assign', value: { attempt: wire(attempt), run: Buffer.from(run) } },
          }),
        cancel: (pod, attempt, reason) =>
          send(pod, { message: { $case: 'cancel', value: { attempt: wire(attempt), reason } } }),
        drain: (pod) => send(pod, { message: { $case: 'drain', value: {} } }),
        // No Run of the model keeps artifacts.
        removeArtifacts: () => false,
        sweepLogs: () => false,
        forgetLogs: () => false,
      }),
      settings: () => SETTINGS,
      now: () => micros(nowMs() * 1000),
      clock: process.clock,
      random: process.random,
      identity: process.id,
      namespaces: [],
      leads$: this.#leads,
    }).subscribe({
      next: (report) => {
        if (report.kind !== 'Deciding') return;
        this.isDeciding = report.isDeciding;
        this.world = report.world;
        if (!this.isDeciding) for (const link of [...this.#open.values()]) this.#end(link, true);
      },
      error: onDefect,
    });
    process.onEnd(() => {
      this.#subscription.unsubscribe();
      for (const link of this.#open.values()) link.operatorIsGone();
      this.#open.clear();
    });
  }

  /** Told by the Lease. */
  lead(isStillLeading: () => boolean): void {
    this.#leads.next({ isStillLeading });
  }

  depose(): void {
    this.#leads.next(undefined);
  }

  /** A message of runtimed has arrived. */
  take(link: Link, { message }: FromRuntimed): void {
    const podUid = link.pod.uid as PodUid;
    const current = this.#open.get(podUid);
    if (message?.$case === 'hello') {
      if (!this.isDeciding) return link.operatorIsGone();
      if (current) this.#end(current, true);
      this.#open.set(podUid, link);
      link.toPod({ message: { $case: 'welcome', value: { beatIntervalMillis: NEVER_MS } } });
      const { held, healthy, healthMessage, draining } = message.value;
      this.#events.next({
        kind: 'Opened',
        session: {
          podUid,
          podKey: objectKey('default', link.pod.name),
          held: held.map((ref) => ({ ...ref, runUid: ref.runUid as RunUid })),
          healthy,
          healthMessage,
          draining,
          artifactStore: '',
        },
      });
    } else if (current !== link) {
      return;
    } else if (message?.$case === 'beat') {
      const { healthy, healthMessage, draining } = message.value;
      this.#events.next({ kind: 'Changed', podUid, healthy, healthMessage, draining });
    } else if (message?.$case === 'refused' && message.value.attempt) {
      const { attempt, reason, message: text } = message.value;
      this.#events.next({
        kind: 'Refused',
        podUid,
        attempt: { ...attempt, runUid: attempt.runUid as RunUid },
        reason,
        message: text,
      });
    }
  }

  /** The connection is over, as this side sees it. */
  lost(link: Link): void {
    this.#end(link, false);
  }

  #end(link: Link, isOurWish: boolean): void {
    const podUid = link.pod.uid as PodUid;
    if (this.#open.get(podUid) !== link) return;
    this.#open.delete(podUid);
    this.#events.next({ kind: 'Closed', podUid, why: 'over' });
    if (isOurWish) link.operatorIsGone();
  }
}
