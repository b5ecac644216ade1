/**
 * Built into the programs of a soak (probed-programs.ts): what does this process hold?
 *
 * It connects to the soak's socket, which is where the programs are, and answers each question with a reading. Objects
 * are counted by V8 after a full collection, so what is counted is what something still holds: subscriptions of RxJS
 * that nobody ended, timers that nobody cleared, also those that do not keep the process alive.
 *
 * A question may plant a leak: then so many things are held from now on.
 */
import { ChildProcess } from 'node:child_process';
import { existsSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { Session } from 'node:inspector';
import { connect, Socket } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { getHeapCodeStatistics, getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import * as E from 'fp-ts/lib/Either.js';
import { NEVER, Subscriber } from 'rxjs';

import { Question, SOCKET, WATCH_HISTORY_S } from './question.js';

const KIB = 1024;
const program = process.argv[1] ?? '';
const socketPath = join(dirname(program), SOCKET);

/** Two, since what the first one finalizes the second one frees. */
const collect = (): void => {
  setFlagsFromString('--expose-gc');
  const gc: () => void = runInNewContext('gc');
  gc();
  gc();
};

const Timer = (() => {
  const timer = setTimeout(() => undefined, 0);
  clearTimeout(timer);
  return timer.constructor as new () => NodeJS.Timeout;
})();

const COUNTED = {
  timers: Timer,
  subscriptions: Subscriber,
  promises: Promise,
  children: ChildProcess,
  sockets: Socket,
} as const;
type Counts = Readonly<Record<keyof typeof COUNTED, number>>;

const countEach = (objects: ReadonlyArray<object>): Counts => {
  const counts = { timers: 0, subscriptions: 0, promises: 0, children: 0, sockets: 0 };
  const kinds = Object.entries(COUNTED).map(([name, of]) => [name as keyof Counts, of.prototype] as const);
  for (const object of objects)
    for (const [name, prototype] of kinds)
      if (Object.prototype.isPrototypeOf.call(prototype, object)) counts[name] += 1;
  return counts;
};

/** Where the inspector finds `countEach`. */
const COUNTER = 'kruntimesCountEach';

/**
 * How many of each class, or of one derived from it, something holds. By the inspector, which hands out all objects
 * after one full collection; v8.queryObjects makes one for each class, and is most of what a reading would cost.
 */
const living = (): Counts => {
  const session = new Session();
  session.connect();
  const post = (method: string, parameters: object): unknown => {
    let answer: unknown;
    // In the same thread it is answered before it returns.
    session.post(method, parameters, (error, result) => {
      if (error) throw new Error(`${method}: ${error.message}`);
      answer = result;
    });
    return answer;
  };
  Reflect.set(globalThis, COUNTER, countEach);
  try {
    const { result } = post('Runtime.evaluate', { expression: 'Object.prototype' }) as {
      result: { objectId: string };
    };
    const { objects } = post('Runtime.queryObjects', { prototypeObjectId: result.objectId }) as {
      objects: { objectId: string };
    };
    const counted = post('Runtime.callFunctionOn', {
      objectId: objects.objectId,
      functionDeclaration: `function () { return ${COUNTER}(this); }`,
      returnByValue: true,
    }) as { result: { value: Counts } };
    return counted.result.value;
  } finally {
    Reflect.deleteProperty(globalThis, COUNTER);
    session.disconnect();
  }
};

/** The heap without V8's compiled code, which comes and goes with what is run often, also with each collection. */
const dataBytes = (): number => {
  const code = getHeapCodeStatistics();
  return getHeapStatistics().used_heap_size - code.code_and_metadata_size - code.bytecode_and_metadata_size;
};

/** V8 asks for its pages at addresses below this (GetRandomMmapAddr in its platform-posix.cc); the C library gets others. */
const V8_BELOW = 2 ** 46;

const MAPPING = /^([0-9a-f]+)-[0-9a-f]+ \S+ \S+ \S+ \d+ *(.*)$/;

/**
 * Resident memory by whose it is, from Linux's smaps; nothing elsewhere. `mapped`: files' pages, most of them of Node
 * itself, which the kernel takes away and brings back as it likes. `V8's`: its heap, with pages that it keeps for later.
 * `native`: what malloc has handed out, buffers among it, or keeps, and stacks.
 */
const resident = (): Readonly<Record<string, number>> => {
  if (!existsSync('/proc/self/smaps')) return {};
  const kib = { mapped: 0, "V8's": 0, native: 0 };
  let of: keyof typeof kib = 'native';
  for (const line of readFileSync('/proc/self/smaps', 'latin1').split('\n')) {
    const [, address, name] = MAPPING.exec(line) ?? [];
    if (address !== undefined) {
      const isAnonymous = name === '' && Number(`0x${address}`) < V8_BELOW;
      of = name?.startsWith('/') ? 'mapped' : isAnonymous ? "V8's" : 'native';
    } else if (line.startsWith('Rss:')) kib[of] += Number.parseInt(line.slice(4), 10);
  }
  return Object.fromEntries(Object.entries(kib).map(([whose, size]) => [`resident ${whose} KiB`, size]));
};

const reading = (isCollected: boolean): Readonly<Record<string, number>> => {
  const open = {
    'resident KiB': process.memoryUsage.rss() / KIB,
    descriptors: readdirSync('/dev/fd').length,
    handles: process.getActiveResourcesInfo().length,
  };
  if (!isCollected) return open;
  collect();
  // First what was collected: what is read after it leaves some hundred KiB behind.
  const held = { 'heap KiB': dataBytes() / KIB, 'buffers KiB': process.memoryUsage().external / KIB };
  return { ...open, ...held, ...resident(), ...living() };
};

const planted: unknown[] = [];
const leaks: Readonly<Record<string, () => unknown>> = {
  heap: () => Array.from({ length: KIB / 8 }, (_, i) => i),
  buffers: () => Buffer.alloc(KIB),
  // The C library keeps each value that a variable ever had (setenv(3)), and V8 knows nothing of that.
  native: () => {
    process.env.KRUNTIMES_PLANTED = String(planted.length).padStart(KIB, '0');
  },
  timers: () => setInterval(() => undefined, 2 ** 30).unref(),
  subscriptions: () => NEVER.subscribe(),
  descriptors: () => openSync('/dev/null', 'r'),
};

const answer = (line: string): string => {
  const question = Question.decode(JSON.parse(line));
  if (E.isLeft(question)) throw new Error('the soak asked something else');
  const { id, isCollected, plants = [] } = question.right;
  for (const { kind, count } of plants) {
    const leak = leaks[kind];
    if (leak === undefined) throw new Error(`there is no leak ${kind}`);
    for (let i = 0; i < count; i += 1) planted.push(leak());
  }
  return JSON.stringify({ id, reading: reading(isCollected) });
};

// What the API server keeps of the last minutes follows how many Runs there were in them: a machine that gets quieter in the
// course of a soak would look like a leak. So it keeps no more than a round's rest leaves behind (round.ts).
const flags = basename(program) === 'apiserver.js' ? ['--watch-history', String(WATCH_HISTORY_S)] : [];

if (existsSync(socketPath)) {
  process.argv.push(...flags);
  const socket = connect(socketPath).unref();
  socket.on('error', () => undefined);
  socket.write(`${JSON.stringify({ program: basename(program, '.js'), pid: process.pid })}\n`);
  createInterface({ input: socket }).on('line', (line) => socket.write(`${answer(line)}\n`));
}
