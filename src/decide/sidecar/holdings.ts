/**
 * What this pod holds: the fold of everything that happens into an index of attempts, with commands as its output.
 *
 * It routes each input to the one attempt it concerns (`advance.ts`), admits new ones and forgets those that are
 * done; the cost of an input does not grow with the number of attempts held, except for the rare inputs that concern
 * all of them (the Runtime Server came or went).
 */
import { type Amounts, isTerminal, type Run, type RunStatus } from '../../model/run.js';
import { type Micros, plusMillis } from '../../model/time.js';
import { type Refusal, refusal, withAmounts } from './admission.js';
import { admitted, advance, isUp, lost, resumed, resumedEnd, type ServerState } from './advance.js';
import { assignmentOf, refOf, workOf } from './assignment.js';
import {
  type Advance,
  type AlarmKind,
  type Assignment,
  type Attempt,
  type AttemptCommand,
  type AttemptInput,
  type AttemptRef,
  type EndEvent,
  idOf,
  type Moment,
  type Stage,
} from './attempt.js';

/**
 * How long the Runtime Server may be away before what ran there counts as lost, milliseconds: `gone` when no process listens
 * in its place; `silent` when one does and does not answer, on a node that is too busy, say, where all that it runs is
 * most likely well. That is longer than a liveness probe of Kubernetes' defaults takes to have it killed (30 s).
 */
export const SERVER_LOST_MS = { gone: 5_000, silent: 60_000 };
/** The same in a pod that ends, where nobody starts it again: only the connection may come back. */
export const SERVER_LOST_ENDING_MS = { gone: 1_000, silent: 5_000 };
/** Names of assignments that ended here are kept, so that a late or repeated message cannot run one again. */
export const REMEMBERED_ENDS = 8_192;
/** The alarm that belongs to the Runtime Server rather than to an attempt has this id. */
export const SERVER_ALARM = '';

/** How an assignment reached us, and so how a refusal is answered. */
export type Via = 'session' | 'watch';

/** What may happen to the pod. */
export type Input =
  | Readonly<{ kind: 'Assigned'; run: Run; via: Via }>
  /** A Run of ours as the API has it, whether we hold it or not. */
  | Readonly<{ kind: 'Seen'; run: Run }>
  /** A Run that is no longer assigned here, or has ended, or is deleted. */
  | Readonly<{ kind: 'Vanished'; uid: string }>
  /** All Runs of ours as the API has them, and the ids held when that was asked. */
  | Readonly<{ kind: 'Listed'; runs: ReadonlyArray<Run>; heldBefore: ReadonlySet<string> }>
  /** `isEnding`: the containers of the pod were told to end. */
  | Readonly<{ kind: 'DrainAsked'; isEnding?: boolean }>
  /** After ServerDown, or before the first ServerOpened, ServerGone says that no process listens in its place. */
  | Readonly<{ kind: 'ServerOpened' | 'ServerSynced' | 'ServerDown' | 'ServerGone' }>
  /** Found on disk at the start. */
  | Readonly<{ kind: 'Resumed'; assignment: Assignment; end?: EndEvent }>
  | Readonly<{ kind: 'Cleaned'; id: string }>
  | Readonly<{ kind: 'Rang'; id: string; alarm: AlarmKind }>
  | Readonly<{ kind: 'Attempt'; id: string; input: AttemptInput }>;

/** What may be asked of the outside. */
export type Command =
  | AttemptCommand
  /** Tell the operator, or, when it is not there, give the Run back in the API. */
  | Readonly<{ kind: 'Refuse'; assignment: Assignment; refusal: Refusal; via: Via }>
  | Readonly<{ kind: 'SetAlarm'; id: typeof SERVER_ALARM; alarm: AlarmKind; at: Micros }>
  | Readonly<{ kind: 'ClearAlarms'; id: typeof SERVER_ALARM }>;

/** The pod it is all about. */
export type Pod = Readonly<{ uid: string; capacity: Amounts }>;

/** Whether the attempt takes room: its processes may live. */
const takesRoom = (stage: Stage): boolean => stage.name !== 'Ending' && stage.name !== 'Cleaning';

/** Whether somebody waits for this pod to begin it, or to say how it ended. */
const isWaitedFor = (stage: Stage | undefined): boolean =>
  stage !== undefined && ['Preparing', 'Executing', 'Collecting', 'Ending'].includes(stage.name);

/**
 * An attempt's number may be assigned again, also to this pod: a Run that was Scheduled on a pod that was lost goes back
 * unharmed. What tells the assignments apart is their time.
 */
const assignmentName = (id: string, { scheduledTime }: RunStatus): string => `${id} ${scheduledTime ?? ''}`;

/** Whether this is from before the attempt was assigned: a list whose answer was late takes nothing away. */
const isOlder = ({ attempt = 0, scheduledTime }: RunStatus, held: Attempt | undefined): boolean =>
  held !== undefined &&
  (attempt < held.ref.attempt ||
    (attempt === held.ref.attempt &&
      scheduledTime !== undefined &&
      held.status.scheduledTime !== undefined &&
      scheduledTime < held.status.scheduledTime));

/** Single owner of what is held; `reduce` is its only way to change. */
export class Holdings {
  readonly #pod: Pod;
  readonly #attempts = new Map<string, Attempt>();
  /** Run UID → ids of its attempts, oldest first; more than one while the older one is being cleaned. */
  readonly #byRun = new Map<string, ReadonlyArray<string>>();
  readonly #ended = new Set<string>();
  /** By id: an assignment that came while an earlier one of that number is still held. */
  readonly #next = new Map<string, Readonly<{ run: Run; via: Via }>>();
  #used: Amounts = {};
  #waitedFor = 0;
  #draining = false;
  #ending = false;
  #server: ServerState = 'Silent';
  /** Executions that the Runtime Server runs and that are nobody's here any more, by id. */
  readonly #strays = new Set<string>();

  constructor(pod: Pod) {
    this.#pod = pod;
  }

  /** Attempts held, whatever their stage. */
  held(): ReadonlyArray<AttemptRef> {
    return [...this.#attempts.values()].map(({ ref }) => ref);
  }

  ids(): ReadonlySet<string> {
    return new Set(this.#attempts.keys());
  }

  /** The attempt of that id, if held. */
  get(id: string): Attempt | undefined {
    return this.#attempts.get(id);
  }

  get size(): number {
    return this.#attempts.size;
  }

  /** Amounts taken by attempts that may have a process. */
  get used(): Amounts {
    return this.#used;
  }

  /** Whether the Runtime Server still runs what was given up for lost, or what nobody knows: room that is not free. */
  get hasStrays(): boolean {
    return this.#strays.size > 0;
  }

  get isDraining(): boolean {
    return this.#draining;
  }

  /** Applies one input. */
  reduce(input: Input, moment: Moment): ReadonlyArray<Command> {
    switch (input.kind) {
      case 'Attempt':
        return this.#attempt(input.id, input.input, moment);
      case 'Rang':
        return input.id === SERVER_ALARM
          ? this.#all({ kind: 'ServerLost' }, moment)
          : this.#attempt(input.id, { kind: 'Rang', alarm: input.alarm }, moment);
      case 'Assigned':
        return this.#assigned(input.run, input.via, moment);
      case 'Seen':
        return this.#seen(input.run, moment);
      case 'Vanished':
        return (this.#byRun.get(input.uid) ?? []).flatMap((id) =>
          this.#attempt(id, { kind: 'StopAsked', cause: 'Fenced' }, moment),
        );
      case 'Listed':
        return this.#listed(input.runs, input.heldBefore, moment);
      case 'DrainAsked':
        this.#draining = true;
        if (!input.isEnding) return [];
        this.#ending = true;
        return isUp(this.#server) ? [] : [this.#serverAlarm(moment)];
      case 'ServerOpened':
        this.#server = 'Opened';
        this.#strays.clear();
        return [{ kind: 'ClearAlarms', id: SERVER_ALARM }, ...this.#all({ kind: 'ServerOpened' }, moment)];
      case 'ServerSynced':
        this.#server = 'Synced';
        return this.#all({ kind: 'ServerSynced' }, moment);
      case 'ServerDown':
        return this.#serverDown(moment);
      case 'ServerGone':
        this.#server = 'Gone';
        this.#strays.clear();
        return [this.#serverAlarm(moment)];
      case 'Resumed':
        return this.#resumed(input.assignment, input.end, moment);
      case 'Cleaned':
        return this.#cleaned(input.id, moment);
      default:
        return input satisfies never;
    }
  }

  #attempt(id: string, input: AttemptInput, moment: Moment): ReadonlyArray<Command> {
    const before = this.#attempts.get(id);
    if (input.kind === 'Exited') this.#strays.delete(id);
    if (input.kind === 'Started' && (before === undefined || !takesRoom(before.stage))) this.#strays.add(id);
    if (before === undefined) {
      if (input.kind === 'Started' || input.kind === 'Exited')
        return [{ kind: 'EndUnknown', id, running: input.kind === 'Started' }];
      return [];
    }
    return this.#keep(
      id,
      advance(before, input, moment, {
        server: this.#server,
        isEnding: this.#ending,
        isWaitedFor: this.#waitedFor > 0,
      }),
    );
  }

  #keep(id: string, { attempt, commands }: Advance): ReadonlyArray<Command> {
    const before = this.#attempts.get(id);
    const had = before !== undefined && takesRoom(before.stage);
    const has = takesRoom(attempt.stage);
    if (has !== had) this.#used = withAmounts(this.#used, attempt.requests, has ? 1 : -1);
    this.#waitedFor += Number(isWaitedFor(attempt.stage)) - Number(isWaitedFor(before?.stage));
    if (before === undefined)
      this.#byRun.set(attempt.ref.uid, [...(this.#byRun.get(attempt.ref.uid) ?? []), id]);
    // By the status before: a retry takes the time of the assignment out of it.
    if (
      before &&
      before.stage.name !== 'Cleaning' &&
      attempt.stage.name === 'Cleaning' &&
      attempt.givenBack === undefined
    )
      this.#remember(assignmentName(id, before.status));
    this.#attempts.set(id, attempt);
    return commands;
  }

  #remember(name: string): void {
    // As one text: a text put together is kept as its parts, of twice the size, and this is all that stays of a Run here.
    this.#ended.add(Buffer.from(name).toString());
    if (this.#ended.size <= REMEMBERED_ENDS) return;
    const [oldest] = this.#ended;
    if (oldest !== undefined) this.#ended.delete(oldest);
  }

  #all(input: AttemptInput, moment: Moment): ReadonlyArray<Command> {
    return [...this.#attempts.keys()].flatMap((id) => this.#attempt(id, input, moment));
  }

  #isOurs(run: Run): boolean {
    return run.status?.assignedPodUID === this.#pod.uid;
  }

  #assigned(run: Run, via: Via, moment: Moment): ReadonlyArray<Command> {
    const ref = refOf(run);
    if (ref === undefined) return [];
    const id = idOf(ref);
    if (this.#ended.has(assignmentName(id, run.status ?? {}))) return [];
    const held = this.#attempts.get(id);
    const isEdited = this.#isOurs(run)
      ? run.status?.phase === 'Running' && held === undefined
      : this.#byRun.has(ref.uid);
    // Nobody assigns what is Running, or is on another pod: what was here is to end, what is not here is lost.
    if (via === 'session' && isEdited) return this.#seen(run, moment);
    if (held !== undefined) {
      // Is the one that is held written after all, it was for this assignment, too.
      if (held.status.scheduledTime !== run.status?.scheduledTime) this.#next.set(id, { run, via });
      return [];
    }
    const assignment = assignmentOf(run, ref);
    const why: Refusal | undefined =
      !this.#isOurs(run) || run.status?.phase !== 'Scheduled'
        ? {
            reason: 'Stale',
            message: `it is ${run.status?.phase ?? 'Pending'} on pod ${run.status?.assignedPodUID ?? 'none'}`,
          }
        : refusal(
            { capacity: this.#pod.capacity, used: this.#used, draining: this.#draining },
            assignment.requests,
          );
    if (why) return [{ kind: 'Refuse', assignment, refusal: why, via }];
    const commands = this.#keep(id, admitted(assignment, workOf(run), this.#byRun.has(ref.uid), moment));
    return assignment.policy.cancelRequested
      ? [...commands, ...this.#attempt(id, { kind: 'StopAsked', cause: 'Cancelled' }, moment)]
      : commands;
  }

  #seen(run: Run, moment: Moment): ReadonlyArray<Command> {
    const ref = refOf(run);
    const current = ref !== undefined && this.#isOurs(run) && !isTerminal(run.status?.phase) ? idOf(ref) : '';
    const moved = (this.#byRun.get(run.metadata.uid) ?? [])
      .filter((id) => id !== current && !isOlder(run.status ?? {}, this.#attempts.get(id)))
      .flatMap((id) => this.#attempt(id, { kind: 'StopAsked', cause: 'Fenced' }, moment));
    if (ref === undefined || current === '') return moved;
    if (this.#attempts.has(current)) {
      if (run.status?.phase === 'Scheduled') this.#assigned(run, 'watch', moment);
      return run.spec.cancelRequested || run.metadata.deletionTimestamp !== undefined
        ? [...moved, ...this.#attempt(current, { kind: 'StopAsked', cause: 'Cancelled' }, moment)]
        : moved;
    }
    if (this.#ended.has(assignmentName(current, run.status ?? {}))) return moved;
    return run.status?.phase === 'Running'
      ? [...moved, ...this.#lose(run, moment)]
      : [...moved, ...this.#assigned(run, 'watch', moment)];
  }

  #listed(runs: ReadonlyArray<Run>, heldBefore: ReadonlySet<string>, moment: Moment): ReadonlyArray<Command> {
    const listed = new Set(runs.map(({ metadata }) => metadata.uid));
    const gone = [...heldBefore].filter((id) => {
      const attempt = this.#attempts.get(id);
      return attempt !== undefined && !listed.has(attempt.ref.uid);
    });
    return [
      ...gone.flatMap((id) => this.#attempt(id, { kind: 'StopAsked', cause: 'Fenced' }, moment)),
      ...runs.flatMap((run) => [
        ...this.#seen(run, moment),
        ...(this.#isUnwritten(run, heldBefore) ? this.#lose(run, moment) : []),
      ]),
    ];
  }

  /** It ended here, and its end was written, before this was asked; and is not: the API went back to an earlier state. */
  #isUnwritten(run: Run, heldBefore: ReadonlySet<string>): boolean {
    const ref = refOf(run);
    if (ref === undefined || !this.#isOurs(run) || isTerminal(run.status?.phase)) return false;
    const id = idOf(ref);
    return (
      !heldBefore.has(id) && !this.#attempts.has(id) && this.#ended.has(assignmentName(id, run.status ?? {}))
    );
  }

  /** Nothing is held of what the API has as assigned here, and its result is unknown. */
  #lose(run: Run, moment: Moment): ReadonlyArray<Command> {
    const ref = refOf(run);
    return ref === undefined ? [] : this.#keep(idOf(ref), lost(assignmentOf(run, ref), moment));
  }

  #serverDown(moment: Moment): ReadonlyArray<Command> {
    if (!isUp(this.#server)) return [];
    this.#server = 'Silent';
    return [this.#serverAlarm(moment), ...this.#all({ kind: 'ServerDown' }, moment)];
  }

  #serverAlarm({ at }: Moment): Command {
    const { gone, silent } = this.#ending ? SERVER_LOST_ENDING_MS : SERVER_LOST_MS;
    const ms = this.#server === 'Gone' ? gone : silent;
    return { kind: 'SetAlarm', id: SERVER_ALARM, alarm: 'Stop', at: plusMillis(at, ms) };
  }

  #resumed(assignment: Assignment, event: EndEvent | undefined, moment: Moment): ReadonlyArray<Command> {
    const id = idOf(assignment.ref);
    if (this.#attempts.has(id)) return [];
    const commands = this.#keep(
      id,
      event ? resumedEnd(assignment, event) : { attempt: resumed(assignment, moment.at), commands: [] },
    );
    return isUp(this.#server) ? commands : [this.#serverAlarm(moment), ...commands];
  }

  #cleaned(id: string, moment: Moment): ReadonlyArray<Command> {
    const attempt = this.#attempts.get(id);
    if (attempt === undefined) return [];
    this.#attempts.delete(id);
    const left = (this.#byRun.get(attempt.ref.uid) ?? []).filter((other) => other !== id);
    if (left.length === 0) this.#byRun.delete(attempt.ref.uid);
    else this.#byRun.set(attempt.ref.uid, left);
    const [waiting] = left;
    const freed = waiting === undefined ? [] : this.#attempt(waiting, { kind: 'WorkspaceFree' }, moment);
    const next = this.#next.get(id);
    this.#next.delete(id);
    const isDone = attempt.stage.name === 'Cleaning' && attempt.stage.isWritten;
    return next === undefined || isDone ? freed : [...freed, ...this.#assigned(next.run, next.via, moment)];
  }
}
