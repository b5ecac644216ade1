/**
 * One git command, bounded: in time by a signal, in what it writes by the kernel (RLIMIT_FSIZE), in what it says by
 * the buffers here. It is the leader of a process group, so that its helpers (remote-https, index-pack, ssh) end with
 * it, at once, when the signal says so or when this process ends.
 */
import { type ChildProcess, spawn } from 'node:child_process';

/** How it ended. `code` is null when it was killed. */
export type GitExit = Readonly<{ code: number | null; stdout: string; stderr: string }>;

export type GitCommand = Readonly<{
  args: ReadonlyArray<string>;
  env: Readonly<Record<string, string>>;
  /** Largest file it may write. */
  fileBytes: number;
  signal: AbortSignal;
  /** Gets stdout instead of the result; returns false when enough was seen, which ends the command. */
  onStdout?: (chunk: Buffer) => boolean;
}>;

/** Kept of each stream; what is longer is cut, stdout at its end, stderr at its beginning. */
const MAX_KEPT = 1_048_576;

/** In KiB; where it cannot be set, a stricter one stands already. No core files. */
const LIMITED = 'ulimit -c 0; ulimit -f "$1" 2>/dev/null; shift; exec "$@"';

const living = new Set<ChildProcess>();

const killGroup = ({ pid }: ChildProcess): void => {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Gone by itself.
  }
};

process.on('exit', () => {
  for (const child of living) killGroup(child);
});

/** Resolves when it has ended and its output is read. Rejects with the signal's reason, or when it cannot be started. */
export const runGit = (
  git: string,
  { args, env, fileBytes, signal, onStdout }: GitCommand,
): Promise<GitExit> =>
  new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason);
      return;
    }
    const kib = String(Math.max(1, Math.ceil(fileBytes / 1024)));
    const child = spawn('bash', ['-c', LIMITED, 'bash', kib, git, ...args], {
      cwd: env.HOME,
      env: { ...env },
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    living.add(child);
    const kept = { stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) };
    const abort = (): void => killGroup(child);
    signal.addEventListener('abort', abort, { once: true });
    child.stdout.on('data', (chunk: Buffer) => {
      if (onStdout !== undefined) {
        if (!onStdout(chunk)) killGroup(child);
      } else if (kept.stdout.length < MAX_KEPT)
        kept.stdout = Buffer.concat([kept.stdout, chunk]).subarray(0, MAX_KEPT);
    });
    child.stderr.on('data', (chunk: Buffer) => {
      kept.stderr = Buffer.concat([kept.stderr, chunk]).subarray(-MAX_KEPT);
    });
    const over = (): void => {
      living.delete(child);
      signal.removeEventListener('abort', abort);
    };
    child.on('error', (cause) => {
      over();
      reject(cause);
    });
    // Whatever of the group has let go of the pipes and lives on does not outlive its leader.
    child.on('exit', () => killGroup(child));
    child.on('close', (code) => {
      over();
      // Not before: nothing may be written any more when its folder is removed.
      if (signal.aborted) reject(signal.reason);
      else resolve({ code, stdout: kept.stdout.toString(), stderr: kept.stderr.toString() });
    });
  });
