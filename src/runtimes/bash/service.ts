/** The gRPC service over the executions: decode, ask, answer. */
import { type sendUnaryData, status } from '@grpc/grpc-js';

import type { CallRequest, ExecuteRequest, RuntimeServer } from '../../proto/gen/executor.js';
import { Execution } from './execution.js';
import type { Executions, Refusal } from './executions.js';
import { report, textBudgetBytes } from './report.js';
import { decodeCursors, decodeExecute } from './request.js';
import { WatchFeed } from './watch-feed.js';

const codes: Readonly<Record<Refusal['refusal'], status>> = {
  NotKnown: status.NOT_FOUND,
  StillRunning: status.FAILED_PRECONDITION,
  Draining: status.UNAVAILABLE,
  BadRequest: status.INVALID_ARGUMENT,
};

/** What the calls that only do something come to: nothing to tell, or why not. */
type Outcome = Refusal | undefined;

const refusalOf = (answer: Execution | Refusal): Outcome =>
  answer instanceof Execution ? undefined : answer;

const executeOutcome = (executions: Executions, request: ExecuteRequest): Outcome => {
  const command = decodeExecute(request);
  return 'refused' in command ? badRequest(command.refused) : refusalOf(executions.execute(command));
};

const outcomeOf = (executions: Executions, { call }: CallRequest): Outcome => {
  switch (call?.$case) {
    case 'execute':
      return executeOutcome(executions, call.value);
    case 'cancel':
      return refusalOf(executions.cancel(call.value.id));
    case 'forget':
      return executions.forget(call.value.id);
    default:
      return badRequest('the request names no call that is known here');
  }
};

const refuse = <A>(reply: sendUnaryData<A>, { refusal, message }: Refusal): void =>
  reply({ code: codes[refusal], details: message });

const badRequest = (message: string): Refusal => ({ refusal: 'BadRequest', message });

/** A stream that stays open until one of its ends has enough of it. */
export type OpenStream = Readonly<{
  /** Ends it as soon as its caller has been given everything. */
  finish: () => void;
}>;

/** @param streams those that are open, kept by the caller so that it can end them. */
export const runtimeService = (executions: Executions, streams: Set<OpenStream>): RuntimeServer => ({
  execute: ({ request }, reply) => {
    const refusal = executeOutcome(executions, request);
    return refusal === undefined ? reply(null, { id: request.id }) : refuse(reply, refusal);
  },
  status: ({ request }, reply) => {
    const execution = executions.get(request.id);
    return execution instanceof Execution ? reply(null, report(execution)) : refuse(reply, execution);
  },
  list: (_call, reply) => {
    const all = executions.all();
    const share = Math.floor(textBudgetBytes / Math.max(1, all.length));
    reply(null, { entries: all.map((execution) => report(execution, share)) });
  },
  cancel: ({ request }, reply) => {
    const refusal = refusalOf(executions.cancel(request.id));
    return refusal === undefined ? reply(null, {}) : refuse(reply, refusal);
  },
  forget: ({ request }, reply) => {
    const refusal = executions.forget(request.id);
    return refusal === undefined ? reply(null, {}) : refuse(reply, refusal);
  },
  health: (_call, reply) => reply(null, { healthy: true, message: '' }),
  watch: (call) => {
    const cursors = decodeCursors(call.request);
    if ('refused' in cursors) {
      call.emit('error', { code: status.INVALID_ARGUMENT, details: cursors.refused });
      return;
    }
    const feed = new WatchFeed(
      {
        write: (event) => call.write(event),
        onDrain: (listener) => call.on('drain', listener),
        end: () => call.end(),
      },
      executions,
      cursors,
    );
    streams.add(feed);
    const gone = (): void => {
      feed.close();
      streams.delete(feed);
    };
    call.on('cancelled', gone).on('close', gone).on('error', gone);
  },
  calls: (call) => {
    const stream = { finish: () => call.end() };
    streams.add(stream);
    const gone = (): void => void streams.delete(stream);
    call
      .on('data', (request) => {
        const refusal = outcomeOf(executions, request);
        call.write({
          serial: request.serial,
          code: refusal === undefined ? status.OK : codes[refusal.refusal],
          message: refusal?.message ?? '',
        });
      })
      .on('end', () => call.end())
      .on('cancelled', gone)
      .on('close', gone)
      .on('error', gone);
  },
});
