/** The programs with a probe in each (inside.ts), and the end that asks them. */
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import * as E from 'fp-ts/lib/Either.js';
import { firstValueFrom, ReplaySubject, take, toArray } from 'rxjs';

import { injectedPrograms } from '../support/injected-programs.js';
import { Answer, Hello, type Question, type Reading, SOCKET } from './question.js';

/** One process of a program. */
export type Probe = Readonly<{
  program: string;
  pid: number;
  /** Rejects when the process is gone. */
  ask: (question: Omit<Question, 'id'>) => Promise<Reading>;
}>;

export type ProbedPrograms = Readonly<{
  /** Where they are. */
  folder: string;
  /** The first so many processes to say that they are there. */
  first: (count: number) => Promise<ReadonlyArray<Probe>>;
  /** Processes that have gone. */
  gone: () => ReadonlyArray<Hello>;
  close: () => void;
}>;

const serve = (socket: Socket, onHello: (probe: Probe) => void, onGone: (hello: Hello) => void): void => {
  const waiting = new Map<number, Readonly<{ told: (reading: Reading) => void; gone: (e: Error) => void }>>();
  let serial = 0;
  let hello: Hello | undefined;
  let isGone = false;
  const greet = (said: Hello): void => {
    hello = said;
    const ask: Probe['ask'] = (question) =>
      new Promise((told, gone) => {
        if (isGone) throw new Error(`${said.program} ${said.pid} is gone`);
        serial += 1;
        waiting.set(serial, { told, gone });
        socket.write(`${JSON.stringify({ ...question, id: serial })}\n`);
      });
    onHello({ ...said, ask });
  };
  createInterface({ input: socket }).on('line', (line) => {
    const said: unknown = JSON.parse(line);
    const answer = Answer.decode(said);
    if (E.isRight(answer)) {
      waiting.get(answer.right.id)?.told(answer.right.reading);
      waiting.delete(answer.right.id);
      return;
    }
    const first = Hello.decode(said);
    if (E.isLeft(first)) throw new Error(`a program said: ${line}`);
    greet(first.right);
  });
  socket
    .on('error', () => undefined)
    .on('close', () => {
      isGone = true;
      if (hello === undefined) return;
      for (const { gone } of waiting.values()) gone(new Error(`${hello.program} ${hello.pid} is gone`));
      onGone(hello);
    });
};

/** Builds them below `folder`, which is to be removed by the caller, and waits for their calls. */
export const probedPrograms = async (
  folder: string,
  names: ReadonlyArray<string>,
): Promise<ProbedPrograms> => {
  const programs = await injectedPrograms(folder, new URL('inside.ts', import.meta.url), names);
  const probes = new ReplaySubject<Probe>();
  const gone: Hello[] = [];
  const server = createServer((socket) =>
    serve(
      socket,
      (probe) => probes.next(probe),
      (hello) => gone.push(hello),
    ),
  );
  await once(server.listen(join(programs, SOCKET)), 'listening');
  return {
    folder: programs,
    first: (count) => firstValueFrom(probes.pipe(take(count), toArray())),
    gone: () => gone,
    close: () => {
      server.close();
    },
  };
};
