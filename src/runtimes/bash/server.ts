/** The Runtime Server as a whole: everything it is made of, put together, and how it ends. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Server, ServerCredentials } from '@grpc/grpc-js';
import type Logger from 'bunyan';

import { type Address, listenGrpc, printAddress } from '../../io/address.js';
import { FifoStock } from '../../io/processes/fifos.js';
import { hasProc } from '../../io/processes/proc.js';
import { RuntimeService } from '../../proto/gen/executor.js';
import { baseEnvironment, loginShell } from './base-environment.js';
import { Execution } from './execution.js';
import { Executions } from './executions.js';
import { startGuardian } from './guardian.js';
import { TreeMarker } from './marker.js';
import type { Options } from './options.js';
import { ProcessBound } from './process-bound.js';
import { type OpenStream, runtimeService } from './service.js';
import { waitText } from './shell-text.js';
import { type Starter, starter } from './start.js';
import { WarmPool } from './warm-pool.js';

/** Largest request, bytes: 256 arguments of 8 KiB and an environment, with room. */
const largestRequestBytes = 33_554_432;

/**
 * How long a new execution is left alone, milliseconds. Most are over by then; far below the 50 after which a Run is
 * said to be running; one that fills a pipe (64 KiB) waits for it once.
 */
const restMs = 20;

/** How long ended executions are kept for their reader once the server is about to end, milliseconds. */
const readerGraceMs = 5_000;

/** How long the last answers may take to leave, milliseconds. */
const flushMs = 1_000;

export type BashServer = Readonly<{
  /** With the port that was really got. */
  address: Address;
  /** Starts nothing new; resolves when all has ended, has been read (or nobody came to), and the server is closed. */
  drain: () => Promise<void>;
  /** Kills all trees and closes; resolves when nothing is left. */
  kill: () => Promise<void>;
}>;

/**
 * The path of bash.
 *
 * @throws Error when there is none.
 */
const findBash = (env: NodeJS.ProcessEnv): string => {
  try {
    return execFileSync('bash', ['-c', 'type -P bash'], { env, encoding: 'utf8' }).trim();
  } catch {
    throw new Error('no bash on the PATH: install bash, or set PATH so that it is found');
  }
};

/** What a place has to take to begin with, bytes: several executions' environments. */
const leastRoom = 262_144;

/** Whether a folder takes a file now. */
const hasRoom = (folder: string): boolean => {
  const path = join(folder, 'room');
  try {
    writeFileSync(path, Buffer.alloc(leastRoom), { mode: 0o600 });
    return true;
  } catch {
    return false;
  } finally {
    rmSync(path, { force: true });
  }
};

/**
 * A private folder, in memory if possible, in the first place that takes one with something in it: containers may be
 * read-only, and an execution of an earlier life may have filled the memory.
 */
const privateFolder = (workDir: string): string => {
  for (const place of ['/dev/shm', tmpdir(), workDir]) {
    try {
      const folder = mkdtempSync(join(place, 'kruntimes-bash-'));
      if (hasRoom(folder)) return folder;
      rmSync(folder, { recursive: true, force: true });
    } catch {
      // The next place.
    }
  }
  throw new Error(
    `no place to write: /dev/shm, ${tmpdir()} and ${workDir} all refuse; mount an emptyDir on one`,
  );
};

/**
 * Does the warm start work with this bash? Tried, not guessed from its version: an execution in a warm shell has to
 * see exactly what `bash script "a b"` shows it.
 */
const warmWorks = async (start: Starter, folder: string, options: Options): Promise<boolean> => {
  const name = options.warmName;
  const workingDir = join(folder, 'probe');
  mkdirSync(workingDir, { mode: 0o700 });
  writeFileSync(
    join(workingDir, name),
    `printf '%s|' "$0" "$#" "$1" "\${BASH_SOURCE[*]}" "$LINENO" "$V" "$PWD" "$-"`,
  );
  const started = start({
    id: 'probe',
    args: ['a b'],
    env: { V: "'\n" },
    timeoutSeconds: 10,
    workingDir,
    entrypoint: name,
  });
  if (started.kind !== 'Launched') return false;
  const bounds = { headBytes: options.headBytes, tailBytes: options.tailBytes };
  const execution = Execution.of(
    'probe',
    started.launched,
    { bounds, graceMs: 0, timeoutMs: 10_000, restMs, stormRestMs: 0 },
    () => undefined,
  );
  await execution.ended;
  const cwd = execFileSync('pwd', ['-P'], { cwd: workingDir, encoding: 'utf8' }).trim();
  const seen = execution.stdout.pieces().head.toString();
  return seen === `${name}|1|a b|${name}|1|'\n|${cwd}|hB|`;
};

/**
 * Starts the server.
 *
 * @throws Error when there is no bash, no place to write, or the address can not be bound.
 */
export const startServer = async (
  options: Options,
  log: Logger,
  env: NodeJS.ProcessEnv,
): Promise<BashServer> => {
  const { graceMillis, headBytes, mostProcesses, stormRestMillis, tailBytes } = options;
  const { warmLeast, warmMost, warmName, workDir } = options;
  const baseEnv = baseEnvironment(env);
  const bash = findBash(baseEnv);
  const folder = privateFolder(workDir);
  const guardFolder = join(folder, 'guard');
  const fifoFolder = join(folder, 'fifos');
  for (const made of [guardFolder, fifoFolder]) mkdirSync(made, { mode: 0o700 });
  const waitFile = join(folder, 'wait');
  writeFileSync(waitFile, waitText(bash), { mode: 0o600 });
  writeFileSync(join(guardFolder, warmName), 'exit\n', { mode: 0o600 });

  const marker = new TreeMarker();
  const { server: serverNumber, leastLimit } = marker;
  const endGuardian = startGuardian({ bash, env: baseEnv, server: serverNumber, leastLimit, folder });
  const fifos = new FifoStock(fifoFolder);
  const pool = new WarmPool(
    { bash, guardFolder, waitFile, scriptName: warmName, env: { SHELL: loginShell(), ...baseEnv } },
    fifos,
    marker,
    {
      least: warmLeast,
      most: warmMost,
    },
  );
  const settings = { bash, workDir, baseEnv, warmName, isWarm: true };
  const warm = starter(settings, pool, fifos, marker);
  // A start-up file of the image's own would have to be read, and only a shell started for the execution does.
  const isWarm = warmMost > 0 && baseEnv.BASH_ENV === undefined && (await warmWorks(warm, folder, options));
  pool.reset();
  const start = isWarm ? warm : starter({ ...settings, isWarm }, pool, fifos, marker);
  if (isWarm) pool.fill();
  else pool.close();

  const processBound =
    mostProcesses > 0 && hasProc() ? new ProcessBound(mostProcesses, marker.processes) : undefined;
  const executions = new Executions(
    start,
    {
      bounds: { headBytes, tailBytes },
      graceMs: graceMillis,
      restMs,
      processBound,
      stormRestMs: stormRestMillis,
    },
    ({ id, started, exited }) => {
      pool.ended();
      if (started === undefined || exited === undefined) return;
      const { code, signal, cause, stdoutBytes, stderrBytes } = exited.value;
      const durationMs = (exited.timeMicros - started.timeMicros) / 1_000;
      log.info(
        { execution: id, code, signal, cause, stdoutBytes, stderrBytes, durationMs },
        'execution ended',
      );
    },
  );
  executions.listen({ changed: () => undefined, forgotten: () => pool.forgotten() });
  const streams = new Set<OpenStream>();
  const server = new Server({
    'grpc.max_receive_message_length': largestRequestBytes,
    // No keepalive: a peer on this machine that dies closes its socket, and one that is only slow would be cut off.
    'grpc.enable_channelz': 0,
  });
  server.addService(RuntimeService, runtimeService(executions, streams));

  const close = async (): Promise<void> => {
    pool.close();
    for (const stream of streams) stream.finish();
    await new Promise<void>((resolve) => {
      const tooLong = setTimeout(resolve, flushMs);
      server.tryShutdown(() => {
        clearTimeout(tooLong);
        resolve();
      });
    });
    server.forceShutdown();
    rmSync(folder, { recursive: true, force: true });
    endGuardian();
  };

  try {
    const address = await listenGrpc(server, options.address, ServerCredentials.createInsecure());
    const killMode = hasProc() ? 'tree' : 'group';
    log.info({ address: printAddress(address), bash, isWarm, killMode, workDir }, 'listening');
    return {
      address,
      drain: async () => {
        await executions.drain();
        await executions.allForgotten(readerGraceMs);
        await close();
      },
      kill: async () => {
        await executions.kill();
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
};
