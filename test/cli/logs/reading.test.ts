/** The log readers against a real gRPC server of the Logs service, reached through a plain connection. */
import { connect, type Socket } from 'node:net';

import { Server, ServerCredentials, type ServerWritableStream, status } from '@grpc/grpc-js';
import { expect } from 'chai';

import type { Api } from '../../../src/cli/api/api.js';
import { Failure } from '../../../src/cli/failure.js';
import { messageSplitter } from '../../../src/cli/logs/daemon-log.js';
import type { LogLine } from '../../../src/cli/logs/log-read.js';
import { missingLog, readAttempt } from '../../../src/cli/logs/read-attempt.js';
import {
  type Record as LogRecord,
  LogsService,
  type ReadRequest,
  type ReadResponse,
} from '../../../src/proto/gen/logs.js';

type Call = ServerWritableStream<ReadRequest, ReadResponse>;

const record = (seq: number, text: string, more: Partial<LogRecord> = {}): LogRecord => ({
  seq,
  timeMicros: 0,
  stream: 'stdout',
  line: Buffer.from(text),
  partial: false,
  droppedBytes: 0,
  attempt: 1,
  ...more,
});

describe('readAttempt', () => {
  let server: Server;
  let port: number;
  let answer: (call: Call) => void;
  const asked: ReadRequest[] = [];
  const notes: string[] = [];
  let sockets: Socket[] = [];

  beforeEach(async () => {
    asked.length = 0;
    notes.length = 0;
    server = new Server();
    server.addService(LogsService, {
      read: (call: Call) => {
        asked.push(call.request);
        answer(call);
      },
    });
    port = await new Promise((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      );
    });
  });
  afterEach(() => {
    for (const socket of sockets) socket.destroy();
    sockets = [];
    server.forceShutdown();
  });

  const api: Pick<Api, 'openPort' | 'podLog'> = {
    openPort: async () => {
      const socket = connect(port, '127.0.0.1');
      sockets.push(socket);
      return socket;
    },
    podLog: () => {
      throw new Error('the container log is not asked');
    },
  };
  const request = {
    namespace: 'default',
    pod: 'bash-0',
    runUid: 'u1',
    attempt: 1,
    follow: true,
    tail: 0,
    stream: '' as const,
    ended: Promise.resolve(),
    podUid: 'p1',
    log: undefined,
    otherPods: async () => [],
  };
  const read = async (over: Pick<Api, 'openPort' | 'podLog'> = api, more = {}): Promise<LogLine[]> => {
    const lines: LogLine[] = [];
    await readAttempt(
      over,
      { ...request, ...more },
      { line: (line) => lines.push(line), note: (text) => notes.push(text) },
    ).done;
    return lines;
  };
  const texts = (lines: ReadonlyArray<LogLine>): ReadonlyArray<string> =>
    lines.map(({ bytes }) => Buffer.from(bytes).toString());

  it('gives every record, in order, with its stream', async () => {
    answer = (call) => {
      call.write({ records: [record(1, 'a'), record(2, 'b', { stream: 'stderr' })] });
      call.write({ records: [record(3, 'c', { partial: true })] });
      call.end();
    };
    const lines = await read();
    expect(texts(lines)).to.deep.equal(['a', 'b', 'c']);
    expect(lines.map(({ stream }) => stream)).to.deep.equal(['stdout', 'stderr', 'stdout']);
    expect(lines.map(({ isWhole }) => isWhole)).to.deep.equal([true, true, false]);
    expect(asked[0]).to.include({ runUid: 'u1', attempt: 1, follow: true, afterSeq: 0, tail: 0, stream: '' });
  });

  it('carries large records whole', async () => {
    const big = 'x'.repeat(60_000);
    answer = (call) => {
      for (let seq = 1; seq <= 40; seq++) call.write({ records: [record(seq, big)] });
      call.end();
    };
    const lines = await read();
    expect(lines).to.have.length(40);
    expect(new Set(texts(lines))).to.deep.equal(new Set([big]));
  });

  it('takes a broken connection up after the last line, and asks for the tail only once', async () => {
    answer = (call) => {
      if (asked.length === 1) call.write({ records: [record(7, 'a')] });
      else {
        call.write({ records: [record(8, 'b')] });
        call.end();
      }
    };
    const lines: LogLine[] = [];
    const line = (each: LogLine): void => {
      lines.push(each);
      if (lines.length === 1) sockets[0]?.destroy();
    };
    await readAttempt(api, { ...request, tail: 5 }, { line, note: () => undefined }).done;
    expect(texts(lines)).to.deep.equal(['a', 'b']);
    expect(asked.map(({ tail, afterSeq }) => ({ tail, afterSeq }))).to.deep.equal([
      { tail: 5, afterSeq: 0 },
      { tail: 0, afterSeq: 7 },
    ]);
  });

  it('says that the pod holds no log of the attempt', async () => {
    answer = (call) => {
      call.emit('error', { code: status.NOT_FOUND, details: 'this pod holds no log' });
    };
    const error = await read().catch((caught: unknown) => caught);
    expect(error).to.include({ trouble: 'NoLog' });
    expect(missingLog(error, 1, 'bash-0')).to.match(/pod bash-0 holds no log of attempt 1; krt rerun/);
  });

  const refusing = (kind: 'NotFound' | 'Forbidden', code: number): Failure =>
    new Failure(kind === 'Forbidden' ? 'NoAccess' : 'NotFound', 'no', { cause: { kind, status: code } });

  it('says that the pod is gone', async () => {
    const error = await read({
      ...api,
      openPort: async () => {
        throw refusing('NotFound', 404);
      },
    }).catch((caught: unknown) => caught);
    expect(error).to.include({ trouble: 'NoPod' });
    expect(missingLog(error, 2, 'bash-0')).to.match(
      /pod bash-0 is gone, and the log of attempt 2 with it; krt rerun/,
    );
  });

  describe('of a pod that is gone', () => {
    const gone: Pick<Api, 'openPort' | 'podLog'> = {
      ...api,
      openPort: async (pod, port) => {
        if (pod.name === 'bash-0') throw refusing('NotFound', 404);
        return api.openPort(pod, port);
      },
    };
    const log = { location: 'c/default/u1/log-1-p1', records: 2, sizeBytes: 4 };
    const otherPods = async (): Promise<ReadonlyArray<string>> => ['bash-1', 'bash-2'];

    it('reads it from the store, through the first pod that has it', async () => {
      answer = (call) => {
        if (asked.length === 1) call.emit('error', { code: status.NOT_FOUND, details: 'no log' });
        else {
          call.write({ records: [record(1, 'a'), record(2, 'b')] });
          call.end();
        }
      };
      expect(texts(await read(gone, { log, otherPods }))).to.deep.equal(['a', 'b']);
      expect(asked.map(({ podUid, attempt }) => ({ podUid, attempt }))).to.deep.equal([
        { podUid: 'p1', attempt: 1 },
        { podUid: 'p1', attempt: 1 },
      ]);
      expect(notes).to.deep.equal([]);
    });

    it('goes on there after the last line that the pod gave, and says what the store has not', async () => {
      answer = (call) => {
        call.write({ records: [record(asked.length, 'x')] });
        if (asked.length === 2) call.end();
      };
      let dials = 0;
      const dying = {
        ...gone,
        openPort: async (...to: Parameters<Api['openPort']>) => {
          dials += 1;
          return dials === 1 ? api.openPort(...to) : gone.openPort(...to);
        },
      };
      const lines: LogLine[] = [];
      await readAttempt(
        dying,
        { ...request, log: { ...log, records: 3 }, otherPods },
        {
          line: (each) => {
            lines.push(each);
            if (lines.length === 1) sockets[0]?.destroy();
          },
          note: (text) => notes.push(text),
        },
      ).done;
      expect(lines.map(({ seq }) => seq)).to.deep.equal([1, 2]);
      expect(asked.map(({ afterSeq }) => afterSeq)).to.deep.equal([0, 1]);
      expect(notes).to.deep.equal(['the end of it was not stored before the pod was gone']);
    });

    it('says where it is stored when no pod gives it out', async () => {
      answer = (call) => {
        call.emit('error', { code: status.NOT_FOUND, details: 'no log' });
      };
      const error = await read(gone, { log, otherPods }).catch((caught: unknown) => caught);
      expect(missingLog(error, 1, 'bash-0')).to.match(
        /it is stored at c\/default\/u1\/log-1-p1, and no running pod/,
      );
    });

    it('waits for the pod itself when it is there but does not answer, and no other has the log', async () => {
      let dials = 0;
      answer = (call) => {
        call.write({ records: [record(1, 'a'), record(2, 'b')] });
        call.end();
      };
      const restarting = {
        ...api,
        openPort: async (...to: Parameters<Api['openPort']>) => {
          dials += 1;
          if (dials <= 5) throw new Failure('Error', 'nobody listens');
          return api.openPort(...to);
        },
      };
      const lines = await read(restarting, { log, otherPods: async () => ['bash-0'] });
      expect(texts(lines)).to.deep.equal(['a', 'b']);
      expect(notes).to.deep.equal([]);
    });

    it('asks nobody for the log of an attempt that wrote nothing', async () => {
      expect(await read(gone, { log: { records: 0, sizeBytes: 0 }, otherPods })).to.deep.equal([]);
      expect(asked).to.deep.equal([]);
    });
  });

  it('reads the container log where ports may not be forwarded, picking out the attempt', async () => {
    const own = (seq: number, message: string, more = {}): string =>
      `${JSON.stringify({ run_uid: 'u1', attempt: 1, stream: 'stdout', seq, message, msg: 'line', ...more })}\n`;
    const text = [
      own(1, 'a'),
      own(1, 'other', { run_uid: 'u2' }),
      own(1, 'later', { attempt: 2 }),
      'not json u1\n',
      '{"msg":"assigned","run_uid":"u1"}\n',
      own(2, 'b ü', { stream: 'stderr' }),
      own(3, 'c'),
    ].join('');
    const bytes = Buffer.from(text);
    const queries: unknown[] = [];
    const lines = await read(
      {
        openPort: async () => {
          throw refusing('Forbidden', 403);
        },
        podLog: (_pod, query, chunk) => {
          queries.push(query);
          // Cut in the middle of a character, as networks do.
          const cut = bytes.indexOf('ü') + 1;
          chunk(bytes.subarray(0, cut));
          chunk(bytes.subarray(cut));
          return { done: Promise.resolve(), stop: () => undefined };
        },
      },
      { stream: '' },
    );
    expect(texts(lines)).to.deep.equal(['a', 'b ü', 'c']);
    expect(queries).to.deep.equal([
      { container: 'runtimed', follow: true },
      { container: 'runtimed', follow: false },
    ]);
  });

  it('stops without an error', async () => {
    let started: () => void = () => undefined;
    const begun = new Promise<void>((resolve) => {
      started = resolve;
    });
    answer = () => started();
    const reading = readAttempt(api, request, { line: () => undefined, note: () => undefined });
    await begun;
    reading.stop();
    await reading.done;
  });
});

describe('messageSplitter', () => {
  it('finds the messages however the bytes are cut', () => {
    const messages = ['', 'a', 'bb'.repeat(300)].map((text) => Buffer.from(text));
    const bytes = Buffer.concat(
      messages.map((message) => {
        const prefix = Buffer.alloc(5);
        prefix.writeUInt32BE(message.length, 1);
        return Buffer.concat([prefix, message]);
      }),
    );
    for (const step of [1, 3, 7, bytes.length]) {
      const found: string[] = [];
      const split = messageSplitter((message) => found.push(message.toString()));
      for (let at = 0; at < bytes.length; at += step) split(bytes.subarray(at, at + step));
      expect(found).to.deep.equal(messages.map(String));
    }
  });
});
