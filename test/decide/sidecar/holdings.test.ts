/**
 * Properties, over any interleaving of assignments, answers, exits, stops, moved fences, alarms and crashes of the
 * Runtime Server:
 * - no execution id is ever started twice, on any server;
 * - at most one status write of an attempt is under way, at most one end is accepted, and nothing after it;
 * - when an end is written no process of it runs on a server that can be seen;
 * - what is taken is what the attempts with possible processes ask for, and never beyond capacity;
 * - a refusal and an admission never go together;
 * - all attempts of a Run with a branch run the commit that its first one found, once a status has told of it;
 * - only a fetch that is under way is broken off, and once;
 * - once everything is answered and every process has ended, nothing is held.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import * as E from 'fp-ts/lib/Either.js';

import { step } from '../../../src/decide/lifecycle.js';
import { type AlarmKind, type AttemptInput, type Exit, idOf } from '../../../src/decide/sidecar/attempt.js';
import { type Command, Holdings, type Input, SERVER_ALARM } from '../../../src/decide/sidecar/holdings.js';
import { isTerminal, type Run } from '../../../src/model/run.js';
import { type Micros, micros } from '../../../src/model/time.js';
import { assignedRun, POD } from './assigned-run.js';

const CAPACITY = { runs: 3 };
const ID = /^[^.]+/;

const anExit = (now: number, cause: Exit['cause']): Exit => ({
  code: 0,
  signal: 0,
  cause,
  errorMessage: '',
  lastStderr: '',
  at: micros(now),
});

/** The outside, as far as runtimed can tell: a Runtime Server, an API, alarms, and answers that are still out. */
class World {
  readonly holdings = new Holdings({ uid: POD, capacity: CAPACITY });
  readonly #api = new Map<string, Run>();
  /** The newest assignment of each Run, as it was sent. */
  readonly #assigned = new Map<string, Run>();
  /** Executions of the server that runs now. */
  readonly #server = new Map<string, 'running' | 'ended'>();
  readonly #started = new Map<string, number>();
  readonly #writing = new Set<string>();
  /** Fetches under way, and whether they were broken off. */
  readonly #fetching = new Map<string, boolean>();
  readonly #alarms = new Map<string, Readonly<{ id: string; alarm: AlarmKind; at: Micros }>>();
  #answers: Array<Readonly<{ id: string; isExecute: boolean; answer: () => void }>> = [];
  #isUp = false;
  #now = 0;
  admitted = 0;

  feed(input: Input): void {
    const commands = this.holdings.reduce(input, { at: micros(this.#now), chance: 0.5 });
    for (const command of commands) this.#enact(command);
    this.#check();
  }

  #attempt(id: string, input: AttemptInput): void {
    this.feed({ kind: 'Attempt', id, input });
  }

  #later(id: string, answer: () => void, isExecute = false): void {
    this.#answers.push({ id, isExecute, answer });
  }

  #enact(command: Command): void {
    switch (command.kind) {
      case 'Prepare': {
        const id = idOf(command.assignment.ref);
        this.admitted += 1;
        const execution = { workingDir: '', entrypoint: 'script', args: [], env: {}, timeoutSeconds: 0 };
        const { source } = command.work;
        if (source?.ref === undefined) {
          this.#later(id, () => this.#attempt(id, { kind: 'Prepared', execution }));
          return;
        }
        const known = command.assignment.status.source?.commitSHA;
        expect(source.commitSHA, 'the branch is looked up again').to.equal(known);
        this.#fetching.set(id, false);
        this.#later(id, () => {
          const wasAborted = this.#fetching.get(id);
          this.#fetching.delete(id);
          this.#attempt(
            id,
            wasAborted
              ? { kind: 'PrepareFailed', reason: 'PrepareSource', message: 'broken off' }
              : { kind: 'Prepared', execution, commitSHA: source.commitSHA ?? `commit of ${id}` },
          );
        });
        return;
      }
      case 'AbortPrepare': {
        const id = idOf(command.ref);
        expect(this.#fetching.get(id), `${id} is not being fetched`).to.equal(false);
        this.#fetching.set(id, true);
        return;
      }
      case 'Execute': {
        const id = idOf(command.ref);
        this.#later(id, () => this.#execute(id), true);
        return;
      }
      case 'CancelExecution': {
        const id = idOf(command.ref);
        this.#later(id, () => this.#exit(id, 'Stopped'));
        return;
      }
      case 'EndUnknown':
        this.#later(command.id, () => {
          if (command.running) this.#exit(command.id, 'Stopped');
          else this.#server.delete(command.id);
        });
        return;
      case 'Collect': {
        const id = idOf(command.ref);
        this.#later(id, () =>
          this.#attempt(id, {
            kind: 'Collected',
            collected: { kind: 'Outputs', outputs: {} },
          }),
        );
        return;
      }
      case 'WriteStatus':
        this.#write(command);
        return;
      case 'Clean': {
        const id = idOf(command.ref);
        this.#later(id, () => {
          if (this.#isUp && this.#server.get(id) === 'ended') this.#server.delete(id);
          this.feed({ kind: 'Cleaned', id });
        });
        return;
      }
      case 'SetAlarm':
        this.#alarms.set(`${command.alarm}:${command.id}`, command);
        return;
      case 'ClearAlarms':
        for (const [key, { id }] of this.#alarms) if (id === command.id) this.#alarms.delete(key);
        return;
      case 'GiveBack':
      case 'Refuse':
      case 'Note':
        return;
      default:
        command satisfies never;
    }
  }

  #write({ assignment, event }: Extract<Command, { kind: 'WriteStatus' }>): void {
    const id = idOf(assignment.ref);
    expect(this.#writing.has(id), 'a second write while one is under way').to.equal(false);
    this.#writing.add(id);
    if (event.kind === 'AttemptEnded' && this.#isUp)
      expect(this.#server.get(id), 'an end is written while its process runs').to.not.equal('running');
    this.#later(id, () => {
      this.#writing.delete(id);
      const run = this.#api.get(assignment.ref.uid);
      const ours = run?.status?.assignedPodUID === POD && run.status.attempt === assignment.ref.attempt;
      if (!run || !ours || isTerminal(run.status?.phase)) {
        this.#attempt(id, { kind: 'StatusFenced', message: 'moved' });
        return;
      }
      const next = step(assignment.policy, run.status ?? {}, event);
      if (E.isLeft(next)) throw new Error(`${event.kind} does not apply in ${next.left.phase}`);
      const before = run.status?.source?.commitSHA;
      if (before !== undefined) expect(next.right.source?.commitSHA, 'another commit').to.equal(before);
      if (event.kind === 'Started' && run.spec.source?.ref !== undefined)
        expect(next.right.source, 'runs without its commit being told').to.not.equal(undefined);
      this.#api.set(assignment.ref.uid, { ...run, status: next.right });
      this.#attempt(id, { kind: 'StatusWritten', status: next.right });
    });
  }

  #start(id: string): void {
    this.#started.set(id, (this.#started.get(id) ?? 0) + 1);
    expect(this.#started.get(id), `${id} was started twice`).to.equal(1);
    this.#server.set(id, 'running');
  }

  #execute(id: string): void {
    if (!this.#isUp) {
      this.#attempt(id, { kind: 'ExecuteUnanswered', message: 'away' });
      return;
    }
    const known = this.#server.has(id);
    if (!known) this.#start(id);
    this.#attempt(id, { kind: 'Executed' });
    if (!known) this.#attempt(id, { kind: 'Started', at: micros(this.#now) });
  }

  #exit(id: string, cause: 'Exited' | 'Stopped', code = 0): void {
    if (!this.#isUp || this.#server.get(id) !== 'running') return;
    this.#server.set(id, 'ended');
    this.#attempt(id, { kind: 'Exited', exit: { ...anExit(this.#now, cause), code } });
  }

  /** What a test may do; `n` picks which. */
  assign(n: number): void {
    const uid = `r${n % 6}`;
    if (this.#api.has(uid)) return;
    const run = assignedRun(uid, {
      ...(n % 2 === 0 ? { timeout: 100 } : {}),
      ...(n % 3 === 0 ? { source: { repoURL: 'https://h/r', ref: 'main' }, entrypoint: 'x' } : {}),
      ...(n % 5 === 0 ? {} : { retryPolicy: { maxAttempts: 3, backoff: 1 } }),
    });
    this.#api.set(uid, run);
    this.#assigned.set(uid, run);
    this.feed({ kind: 'Assigned', run, via: n % 3 === 0 ? 'watch' : 'session' });
  }

  /** An assignment that comes again, or late: after the Run went on from it. */
  again(n: number): void {
    const run = this.#assigned.get(`r${n % 6}`);
    const now = this.#api.get(`r${n % 6}`)?.status;
    if (run && now?.assignedPodUID !== 'another') this.feed({ kind: 'Assigned', run, via: 'session' });
  }

  /** The operator places the next attempt, here again. */
  retry(n: number): void {
    const uid = `r${n % 6}`;
    const run = this.#api.get(uid);
    if (run?.status?.phase !== 'Pending') return;
    const attempt = (run.status.attempt ?? 0) + 1;
    const next = {
      ...run,
      status: {
        ...(run.status.source === undefined ? {} : { source: run.status.source }),
        phase: 'Scheduled' as const,
        assignedPodUID: POD,
        assignedPod: 'p',
        attempt,
      },
    };
    this.#api.set(uid, next);
    this.#assigned.set(uid, next);
    this.feed({ kind: 'Assigned', run: next, via: 'session' });
  }

  answer(n: number): void {
    const [taken] = this.#answers.splice(n % Math.max(1, this.#answers.length), 1);
    taken?.answer();
  }

  exit(n: number): void {
    const running = [...this.#server].filter(([, state]) => state === 'running');
    const chosen = running[n % Math.max(1, running.length)];
    if (chosen) this.#exit(chosen[0], 'Exited', n % 2);
  }

  stop(n: number): void {
    const ids = [...this.holdings.ids()];
    const id = ids[n % Math.max(1, ids.length)];
    if (id) this.#attempt(id, { kind: 'StopAsked', cause: n % 2 === 0 ? 'Cancelled' : 'Timeout' });
  }

  fence(n: number): void {
    const uid = `r${n % 6}`;
    const run = this.#api.get(uid);
    if (!run || isTerminal(run.status?.phase)) return;
    this.#api.set(uid, { ...run, status: { ...run.status, assignedPodUID: 'another' } });
    if (n % 2 === 0) this.feed({ kind: 'Vanished', uid });
  }

  crash(n: number): void {
    if (!this.#isUp) return;
    this.#isUp = false;
    // Calls under way have no answer; what they asked for may have been done.
    const lost = this.#answers.filter(({ isExecute }) => isExecute);
    this.#answers = this.#answers.filter(({ isExecute }) => !isExecute);
    for (const [i, { id }] of lost.entries()) {
      if ((n + i) % 2 === 0 && !this.#server.has(id)) this.#start(id);
      this.#later(id, () => this.#attempt(id, { kind: 'ExecuteUnanswered', message: 'crashed' }));
    }
    this.#server.clear();
    this.feed({ kind: 'ServerDown' });
    this.feed({ kind: 'ServerGone' });
  }

  open(): void {
    if (this.#isUp) return;
    this.#isUp = true;
    this.feed({ kind: 'ServerOpened' });
    this.feed({ kind: 'ServerSynced' });
  }

  /** The stream breaks and comes back; the server is the same. */
  reconnect(): void {
    if (!this.#isUp) return;
    this.feed({ kind: 'ServerDown' });
    this.feed({ kind: 'ServerOpened' });
    for (const [id, state] of [...this.#server]) {
      this.#attempt(id, { kind: 'Started', at: micros(this.#now) });
      if (state === 'ended' && this.#server.has(id))
        this.#attempt(id, { kind: 'Exited', exit: anExit(this.#now, 'Exited') });
    }
    this.feed({ kind: 'ServerSynced' });
  }

  ring(n: number): void {
    const [key, alarm] = [...this.#alarms][n % Math.max(1, this.#alarms.size)] ?? [];
    if (key === undefined || alarm === undefined) return;
    this.#alarms.delete(key);
    this.#now = Math.max(this.#now, alarm.at);
    this.feed({ kind: 'Rang', id: alarm.id, alarm: alarm.alarm });
  }

  #check(): void {
    const attempts = [...this.holdings.ids()].map((id) => this.holdings.get(id));
    const live = attempts.filter((a) => a && a.stage.name !== 'Ending' && a.stage.name !== 'Cleaning');
    const taken = live.reduce((sum, a) => sum + (a?.requests.runs ?? 0), 0);
    expect(this.holdings.used.runs ?? 0).to.equal(taken);
    expect(taken).to.be.at.most(CAPACITY.runs);
    // Attempts of one Run never share its workspace; one that was stopped while it waited for it never had it.
    const uids = attempts.flatMap((a) => (a?.prepared ? [ID.exec(idOf(a.ref))?.[0]] : []));
    expect(new Set(uids).size).to.equal(uids.length);
  }

  /** Lets everything come to its end; true when nothing is held. */
  settle(): boolean {
    for (let i = 0; i < 1_000; i += 1) {
      this.open();
      if (this.#answers.length > 0) this.answer(0);
      else if ([...this.#server.values()].includes('running')) this.exit(0);
      else if (this.holdings.size > 0) this.ring(i);
      else return true;
    }
    return false;
  }
}

const action = fc.tuple(
  fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom('assign' as const, 'exit' as const) },
    { weight: 10, arbitrary: fc.constant('answer' as const) },
    {
      weight: 4,
      arbitrary: fc.constantFrom(
        'again' as const,
        'retry' as const,
        'stop' as const,
        'fence' as const,
        'crash' as const,
        'open' as const,
        'reconnect' as const,
        'ring' as const,
      ),
    },
  ),
  fc.nat(60),
);

describe('Holdings', () => {
  it('keeps its invariants over any interleaving', () => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 120, size: 'max' }), (actions) => {
        const world = new World();
        world.open();
        for (const [name, n] of actions) world[name](n);
        expect(world.settle(), 'something is held for ever').to.equal(true);
        expect(world.holdings.used.runs ?? 0).to.equal(0);
      }),
      { numRuns: 300 },
    );
  });

  const at = (ms: number) => ({ at: micros(ms * 1000), chance: 0 });
  const kinds = (commands: ReadonlyArray<Command>): ReadonlyArray<string> => commands.map(({ kind }) => kind);

  it('takes nothing twice: neither what it holds nor what it ended', () => {
    const world = new World();
    world.open();
    world.assign(1);
    world.again(1);
    expect(world.admitted).to.equal(1);
  });

  describe('a number that is assigned again', () => {
    const execution = { workingDir: '', entrypoint: '', args: [], env: {}, timeoutSeconds: 0 };
    const assigned = (scheduledMs: number): Input => ({
      kind: 'Assigned',
      run: assignedRun('a', {}, { scheduledTime: micros(scheduledMs * 1000) }),
      via: 'session',
    });
    const input = (given: AttemptInput): Input => ({ kind: 'Attempt', id: 'a', input: given });
    /** Executed, ended, and its end is being written. */
    const ending = () => {
      const holdings = new Holdings({ uid: POD, capacity: CAPACITY });
      const feed = (given: Input): ReadonlyArray<string> => kinds(holdings.reduce(given, at(0)));
      feed({ kind: 'ServerOpened' });
      feed(assigned(1));
      feed(input({ kind: 'Prepared', execution }));
      feed(input({ kind: 'Started', at: micros(0) }));
      feed(input({ kind: 'Exited', exit: anExit(1, 'Exited') }));
      feed(input({ kind: 'Collected', collected: { kind: 'Outputs', outputs: {} } }));
      return feed;
    };
    const fenced = input({ kind: 'StatusFenced', message: 'it is on another pod' });
    const cleaned: Input = { kind: 'Cleaned', id: 'a' };

    it('to the pod that lost it is executed anew', () => {
      const feed = ending();
      feed(fenced);
      feed(cleaned);
      expect(feed(assigned(1)), 'the old message once more').to.deep.equal([]);
      expect(feed(assigned(2))).to.deep.equal(['Prepare']);
    });

    it('while the one before is held is executed once that is cleaned away', () => {
      const feed = ending();
      expect(feed(assigned(2))).to.deep.equal([]);
      feed(fenced);
      expect(feed(cleaned)).to.deep.equal(['Prepare']);
    });

    it('while the one before is held is not executed when that one is written after all', () => {
      const feed = ending();
      feed(assigned(2));
      feed(input({ kind: 'StatusWritten', status: { phase: 'Succeeded' } }));
      expect(feed(cleaned)).to.deep.equal([]);
    });
  });

  it('refuses when draining, when full, and when the assignment is not its own', () => {
    const holdings = new Holdings({ uid: POD, capacity: { runs: 2, gpu: 1 } });
    const assign = (run: Run): ReadonlyArray<Command> =>
      holdings.reduce({ kind: 'Assigned', run, via: 'session' }, at(0));
    const reason = (commands: ReadonlyArray<Command>): unknown =>
      commands.map((c) => (c.kind === 'Refuse' ? c.refusal.reason : c.kind));
    expect(reason(assign(assignedRun('other', {}, { assignedPodUID: 'pod-2' })))).to.deep.equal(['Stale']);
    expect(reason(assign(assignedRun('a', { resources: { requests: { gpu: 1 } } })))).to.deep.equal([
      'Prepare',
    ]);
    expect(reason(assign(assignedRun('b', { resources: { requests: { gpu: 1 } } })))).to.deep.equal([
      'AtCapacity',
    ]);
    expect(reason(assign(assignedRun('c', { resources: { requests: { tpu: 1 } } })))).to.deep.equal([
      'AtCapacity',
    ]);
    expect(reason(assign(assignedRun('d')))).to.deep.equal(['Prepare']);
    expect(reason(assign(assignedRun('e')))).to.deep.equal(['AtCapacity']);
    holdings.reduce({ kind: 'DrainAsked' }, at(0));
    expect(reason(assign(assignedRun('f')))).to.deep.equal(['Draining']);
  });

  it('does not stop an attempt for a list that is older than its assignment', () => {
    const holdings = new Holdings({ uid: POD, capacity: CAPACITY });
    const scheduled = (attempt: number, ms: number, pod = POD): Run =>
      assignedRun('a', {}, { attempt, scheduledTime: micros(ms * 1000), assignedPodUID: pod });
    holdings.reduce({ kind: 'Assigned', run: scheduled(2, 20), via: 'session' }, at(0));
    const seen = (run: Run): ReadonlyArray<string> => {
      holdings.reduce({ kind: 'Listed', runs: [run], heldBefore: new Set() }, at(0));
      return [holdings.get('a.2')?.stop ?? 'goes on'];
    };
    const running = (run: Run): Run => ({ ...run, status: { ...run.status, phase: 'Running' } });
    expect(seen(running(scheduled(1, 5))), 'the attempt before').to.deep.equal(['goes on']);
    expect(seen(scheduled(2, 10, 'pod-2')), 'the same number, elsewhere, before').to.deep.equal(['goes on']);
    expect(seen(scheduled(2, 30, 'pod-2')), 'the same number, elsewhere, after').to.deep.equal(['Fenced']);
  });

  it('fails what is Running here and held by nobody, and does not execute it', () => {
    const holdings = new Holdings({ uid: POD, capacity: CAPACITY });
    const commands = holdings.reduce(
      { kind: 'Seen', run: assignedRun('a', {}, { phase: 'Running' }) },
      at(5),
    );
    expect(kinds(commands)).to.deep.equal(['WriteStatus']);
    expect(commands[0]).to.have.nested.property('event.result.reason', 'ExecutionLost');
  });

  it('fails what a list has as assigned though its end was written before: the API went back to an earlier state', () => {
    for (const phase of ['Scheduled', 'Running'] as const) {
      const holdings = new Holdings({ uid: POD, capacity: CAPACITY });
      const execution = { workingDir: '', entrypoint: '', args: [], env: {}, timeoutSeconds: 0 };
      const run = assignedRun('a', {}, { scheduledTime: micros(1000) });
      const feed = (given: Input): ReadonlyArray<Command> => holdings.reduce(given, at(0));
      const attempt = (input: AttemptInput): Input => ({ kind: 'Attempt', id: 'a', input });
      feed({ kind: 'ServerOpened' });
      feed({ kind: 'Assigned', run, via: 'session' });
      feed(attempt({ kind: 'Prepared', execution }));
      feed(attempt({ kind: 'Started', at: micros(0) }));
      feed(attempt({ kind: 'Exited', exit: anExit(1, 'Exited') }));
      feed(attempt({ kind: 'Collected', collected: { kind: 'Outputs', outputs: {} } }));
      const heldBefore = new Set(['a']);
      feed(attempt({ kind: 'StatusWritten', status: { phase: 'Succeeded' } }));
      feed({ kind: 'Cleaned', id: 'a' });
      const listed: Run = { ...run, status: { ...run.status, phase } };
      expect(kinds(feed({ kind: 'Listed', runs: [listed], heldBefore })), 'asked before').to.deep.equal([]);
      const commands = feed({ kind: 'Listed', runs: [listed], heldBefore: new Set() });
      expect(kinds(commands), phase).to.deep.equal(['WriteStatus']);
      expect(commands[0]).to.have.nested.property('event.result.reason', 'ExecutionLost');
    }
  });

  it('makes true what is true of a status that somebody edited, when the operator tells', () => {
    const holdings = new Holdings({ uid: POD, capacity: CAPACITY });
    const execution = { workingDir: '', entrypoint: '', args: [], env: {}, timeoutSeconds: 0 };
    const tell = (run: Run): ReadonlyArray<Command> =>
      holdings.reduce({ kind: 'Assigned', run, via: 'session' }, at(0));
    holdings.reduce({ kind: 'ServerOpened' }, at(0));
    tell(assignedRun('a'));
    holdings.reduce({ kind: 'Attempt', id: 'a', input: { kind: 'Prepared', execution } }, at(0));
    holdings.reduce({ kind: 'Attempt', id: 'a', input: { kind: 'Started', at: micros(0) } }, at(0));
    const isLost = tell(assignedRun('a', {}, { phase: 'Running', attempt: 5 }));
    expect(kinds(isLost), 'attempt 5 is not, attempt 1 is to end').to.deep.equal([
      'CancelExecution',
      'SetAlarm',
      'WriteStatus',
    ]);
    tell(assignedRun('b'));
    tell(assignedRun('b', {}, { assignedPodUID: 'pod-2', phase: 'Running' }));
    expect(holdings.get('b')?.stop, 'it is on another pod').to.equal('Fenced');
  });

  it('gives a process its time from now where its start lies ahead: the clock was set back since', () => {
    for (const [startedMs, dueMs] of [
      [3_600_000, 7_000],
      [4_000, 6_000],
    ] as const) {
      const holdings = new Holdings({ uid: POD, capacity: CAPACITY });
      const execution = { workingDir: '', entrypoint: '', args: [], env: {}, timeoutSeconds: 0 };
      const feed = (given: Input): ReadonlyArray<Command> => holdings.reduce(given, at(5000));
      feed({ kind: 'ServerOpened' });
      feed({ kind: 'Assigned', run: assignedRun('a', { timeout: 2000 }), via: 'session' });
      feed({ kind: 'Attempt', id: 'a', input: { kind: 'Prepared', execution } });
      const started: AttemptInput = { kind: 'Started', at: micros(startedMs * 1000) };
      expect(feed({ kind: 'Attempt', id: 'a', input: started })).to.deep.include({
        kind: 'SetAlarm',
        id: 'a',
        alarm: 'Timeout',
        at: micros(dueMs * 1000),
      });
    }
  });

  it('gives up an Execute that had no answer when the server was away before it could be sent again', () => {
    const holdings = new Holdings({ uid: POD, capacity: CAPACITY });
    const execution = { workingDir: '', entrypoint: '', args: [], env: {}, timeoutSeconds: 0 };
    const feed = (given: Input): ReadonlyArray<string> => kinds(holdings.reduce(given, at(0)));
    feed({ kind: 'ServerOpened' });
    feed({ kind: 'Assigned', run: assignedRun('a'), via: 'session' });
    feed({ kind: 'Attempt', id: 'a', input: { kind: 'Prepared', execution } });
    feed({ kind: 'Attempt', id: 'a', input: { kind: 'ExecuteUnanswered', message: 'no answer' } });
    feed({ kind: 'ServerDown' });
    expect(feed({ kind: 'Rang', id: 'a', alarm: 'Execute' }), 'it may have begun').to.deep.equal([]);
    feed({ kind: 'ServerOpened' });
    expect(feed({ kind: 'ServerSynced' })).to.include('WriteStatus');
  });

  /** One Run, `a`, that runs. */
  const running = (): Holdings => {
    const holdings = new Holdings({ uid: POD, capacity: CAPACITY });
    const execution = { workingDir: '', entrypoint: '', args: [], env: {}, timeoutSeconds: 0 };
    for (const input of [
      { kind: 'ServerOpened' },
      { kind: 'Assigned', run: assignedRun('a'), via: 'session' },
      { kind: 'Attempt', id: 'a', input: { kind: 'Prepared', execution } },
      { kind: 'Attempt', id: 'a', input: { kind: 'Executed' } },
      { kind: 'Attempt', id: 'a', input: { kind: 'Started', at: micros(0) } },
    ] satisfies ReadonlyArray<Input>)
      holdings.reduce(input, at(0));
    return holdings;
  };
  const serverAlarm = (ms: number): Command => ({
    kind: 'SetAlarm',
    id: SERVER_ALARM,
    alarm: 'Stop',
    at: micros(ms * 1000),
  });
  const rings: Input = { kind: 'Rang', id: SERVER_ALARM, alarm: 'Stop' };

  it('gives up what ran on a server that is gone or silent for too long, and not before', () => {
    for (const isGone of [true, false]) {
      const holdings = running();
      expect(holdings.reduce({ kind: 'ServerDown' }, at(10))).to.deep.equal([serverAlarm(60_010)]);
      if (isGone)
        expect(holdings.reduce({ kind: 'ServerGone' }, at(110))).to.deep.equal([serverAlarm(5_110)]);
      const lost = holdings.reduce(rings, at(60_010)).find(({ kind }) => kind === 'WriteStatus');
      expect(lost).to.have.nested.property('event.result.reason', 'ExecutionLost');
      expect(lost)
        .to.have.nested.property('event.result.message')
        .that.includes(isGone ? 'is gone' : 'has not answered');
    }
  });

  it('waits for a server that was gone as for any other once it has been back', () => {
    const holdings = running();
    holdings.reduce({ kind: 'ServerDown' }, at(0));
    holdings.reduce({ kind: 'ServerGone' }, at(0));
    holdings.reduce({ kind: 'ServerOpened' }, at(10));
    expect(holdings.reduce({ kind: 'ServerDown' }, at(20))).to.deep.equal([serverAlarm(60_020)]);
  });

  it('ends and has forgotten what it gave up for lost, however far it is with it when the server is back', () => {
    const STEPS: ReadonlyArray<Input> = [
      { kind: 'Attempt', id: 'a', input: { kind: 'StatusWritten', status: { phase: 'Failed' } } },
      { kind: 'Cleaned', id: 'a' },
    ];
    for (const done of [0, 1, 2]) {
      const holdings = running();
      holdings.reduce({ kind: 'ServerDown' }, at(0));
      holdings.reduce(rings, at(60_000));
      for (const step of STEPS.slice(0, done)) holdings.reduce(step, at(60_000));
      holdings.reduce({ kind: 'ServerOpened' }, at(60_010));
      const told = (input: AttemptInput): ReadonlyArray<Command> =>
        holdings.reduce({ kind: 'Attempt', id: 'a', input }, at(60_020));
      expect(told({ kind: 'Started', at: micros(0) }), `after ${done} steps`).to.deep.equal([
        done === 2
          ? { kind: 'EndUnknown', id: 'a', running: true }
          : { kind: 'CancelExecution', ref: { namespace: 'default', name: 'a', uid: 'a', attempt: 1 } },
      ]);
      expect(holdings.hasStrays, `after ${done} steps`).to.equal(true);
      // Before it is cleaned away, that forgets it.
      expect(told({ kind: 'Exited', exit: anExit(60_030, 'Stopped') }), `after ${done} steps`).to.deep.equal(
        done === 0 ? [] : [{ kind: 'EndUnknown', id: 'a', running: false }],
      );
      expect(holdings.hasStrays, `after ${done} steps`).to.equal(false);
    }
  });
});
