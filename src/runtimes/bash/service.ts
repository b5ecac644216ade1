/** The gRPC service over the executions: decode, ask, answer. */
import { type sendUnaryData, status } from '@grpc/grpc-js';

import type { RuntimeServer } from '../../proto/gen/executor.js';
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

const refuse = <A>(reply: sendUnaryData<A>, { refusal, message }: Refusal): void =>
  reply({ code: codes[refusal], details: message });

const badRequest = (message: string): Refusal => ({ refusal: 'BadRequest', message });

/** @param feeds the living watchers, kept by the caller so that it can end them. */
export const runtimeService = (executions: Executions, feeds: Set<WatchFeed>): RuntimeServer => ({
  execute: ({ request }, reply) => {
    const command = decodeExecute(request);
    if ('refused' in command) return refuse(reply, badRequest(command.refused));
    const execution = executions.execute(command);
    return execution instanceof Execution ? reply(null, { id: execution.id }) : refuse(reply, execution);
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
    const execution = executions.cancel(request.id);
    return execution instanceof Execution ? reply(null, {}) : refuse(reply, execution);
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
    feeds.add(feed);
    const gone = (): void => {
      feed.close();
      feeds.delete(feed);
    };
    call.on('cancelled', gone).on('close', gone).on('error', gone);
  },
});
