/** What does a program say? It is run to its end, with what it reads handed in and what it prints gathered. */
import { spawn } from 'node:child_process';

/** Its exit code (null where a signal ended it) and both of its outputs. */
export type Said = Readonly<{ code: number | null; out: string; err: string }>;

/** Rejects only when it cannot be started; what it did is for the caller to judge. */
export const hear = (
  [program = '', ...args]: ReadonlyArray<string>,
  { env = process.env, input = '' }: Readonly<{ env?: NodeJS.ProcessEnv; input?: string | undefined }> = {},
): Promise<Said> =>
  new Promise((resolve, reject) => {
    const child = spawn(program, args, { env, stdio: ['pipe', 'pipe', 'pipe'] });
    let [out, err] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      out += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      err += text;
    });
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, out, err }));
    // Whoever ends without reading it has a reason, which its code tells.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  });
