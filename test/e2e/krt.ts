/** krt as it ships, called by a test, with what it said as bytes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

/** What one call said. */
export type Said = Readonly<{ code: number | null; out: Buffer; err: Buffer }>;

/** One call; resolves at its end. */
export type Krt = (...argv: ReadonlyArray<string>) => Promise<Said>;

/** Calls with that kubeconfig. `kill` ends those that are under way. */
export const krtWith = (kubeconfig: string): Readonly<{ krt: Krt; kill: () => void }> => {
  const children = new Set<ChildProcess>();
  const krt: Krt = async (...argv) => {
    const child = spawn(process.execPath, ['dist/krt.js', '--kubeconfig', kubeconfig, ...argv], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    children.add(child);
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
    const [code] = await once(child, 'close');
    children.delete(child);
    return { code, out: Buffer.concat(out), err: Buffer.concat(err) };
  };
  const kill = (): void => {
    for (const child of children) child.kill('SIGKILL');
    children.clear();
  };
  return { krt, kill };
};
