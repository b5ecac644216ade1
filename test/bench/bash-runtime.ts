/**
 * How long does `echo hello` take through the Bash Runtime Server, from the Execute call to its first byte and to its
 * end, beside a bare spawn of bash?
 *
 *   npx tsx test/bench/bash-runtime.ts [count]
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { Client, newFolder } from '../runtimes/bash/harness.js';

const count = Number(process.argv[2] ?? 400);
const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = newFolder();
const script = 'echo hello\n';

type Sample = Readonly<{ first: number; total: number }>;

const quantile = (values: readonly number[], q: number): string => {
  const sorted = values.toSorted((a, b) => a - b);
  return (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN).toFixed(2);
};

const tell = (name: string, samples: readonly Sample[], tookMs: number): void => {
  const first = samples.map((sample) => sample.first);
  const total = samples.map((sample) => sample.total);
  const pair = (values: readonly number[]): string => `${quantile(values, 0.5)}/${quantile(values, 0.99)}`;
  process.stdout.write(
    `${name.padEnd(28)} first byte ${pair(first).padStart(12)}   end ${pair(total).padStart(12)} ms (p50/p99)   ${Math.round((samples.length / tookMs) * 1_000)}/s\n`,
  );
};

/** Runs `one` so many times, `width` at once. */
const many = async (name: string, width: number, one: (index: number) => Promise<Sample>): Promise<void> => {
  const samples: Sample[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) {
      next += 1;
      samples.push(await one(next));
    }
  };
  const began = performance.now();
  await Promise.all(Array.from({ length: width }, lane));
  tell(name, samples.slice(Math.min(50, samples.length / 4)), performance.now() - began);
};

const bare = async (): Promise<Sample> => {
  const began = performance.now();
  let first = Number.NaN;
  const child = spawn('bash', [join(folder, 'script')], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.once('data', () => {
    first = performance.now() - began;
  });
  await once(child, 'close');
  return { first, total: performance.now() - began };
};

writeFileSync(join(folder, 'script'), script);
mkdirSync(join(folder, 'ws'));
const socket = join(folder, 'b.sock');
const extra = process.argv.slice(3);
const server = spawn(
  process.execPath,
  [
    '--import',
    'tsx',
    'src/runtimes/bash/main.ts',
    '--listen',
    `unix:${socket}`,
    '--work-dir',
    join(folder, 'ws'),
    ...extra,
  ],
  {
    cwd: root,
    env: { ...process.env, KRUNTIME_PARENT_FD: '3' },
    // Its fd 3 is a life line: it ends with us, however we end.
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
  },
);
if (server.stderr === null) throw new Error('no stderr');
await once(server.stderr, 'data');
server.stderr.resume();

const client = new Client(`unix:${socket}`, join(folder, 'ws'));
const watching = client.watch();
const waiting = new Map<string, (kind: 'output' | 'exited') => void>();
watching.stream.on('data', ({ id, event }) => {
  watching.events.length = 0;
  if (event?.$case === 'output' || event?.$case === 'exited') waiting.get(id)?.(event.$case);
});
let serial = 0;
const through = async (): Promise<Sample> => {
  serial += 1;
  const id = `bench-${serial}`;
  client.write(id, 'script', script);
  let first = Number.NaN;
  const began = performance.now();
  const end = new Promise<number>((resolve) => {
    waiting.set(id, (kind) => {
      if (kind === 'exited') resolve(performance.now() - began);
      else if (Number.isNaN(first)) first = performance.now() - began;
    });
  });
  await client.execute({ id, workingDir: id, entrypoint: 'script', env: { MESSAGE: 'hello' } });
  const total = await end;
  waiting.delete(id);
  await client.forget(id);
  return { first, total };
};

await many('bare spawn, 1 at a time', 1, bare);
await many('server, 1 at a time', 1, through);
await many('bare spawn, 8 at a time', 8, bare);
await many('server, 8 at a time', 8, through);

server.kill('SIGKILL');
client.grpc.close();
rmSync(folder, { recursive: true, force: true });
