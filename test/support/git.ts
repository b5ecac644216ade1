/** Is git here, with its HTTP server? Tests that need it are skipped where it is not. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** Why git cannot be tested with, or undefined. */
export const whyNoGit = (): string | undefined => {
  try {
    const path = execFileSync('git', ['--exec-path'], { encoding: 'utf8' }).trim();
    return existsSync(join(path, 'git-http-backend')) ? undefined : 'git has no http-backend here';
  } catch {
    return 'git is not installed';
  }
};

/** Skips what the hook is for, saying why in a line, where there is a reason. */
export const skipFor = (hook: Mocha.Context, why: string | undefined): void => {
  if (why === undefined) return;
  console.log(`      skipped: ${why}`);
  hook.skip();
};
