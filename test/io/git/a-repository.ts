/** A repository to be served: commits made with git itself, or object by object where git would refuse to. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

export class ARepository {
  constructor(
    /** The bare repository. */
    readonly path: string,
    format: 'sha1' | 'sha256' = 'sha1',
  ) {
    const options = ['--quiet', '--bare', '--initial-branch=main', `--object-format=${format}`];
    execFileSync('git', ['init', ...options, path], { env: this.env });
  }

  private get env(): NodeJS.ProcessEnv {
    return {
      PATH: process.env.PATH,
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_CONFIG_GLOBAL: '/dev/null',
      GIT_AUTHOR_NAME: 'a',
      GIT_AUTHOR_EMAIL: 'a@example.com',
      GIT_COMMITTER_NAME: 'a',
      GIT_COMMITTER_EMAIL: 'a@example.com',
      GIT_AUTHOR_DATE: '2026-01-01T00:00:00Z',
      GIT_COMMITTER_DATE: '2026-01-01T00:00:00Z',
    };
  }

  /** Runs git in it; its output without the newline at the end. */
  git(args: ReadonlyArray<string>, input: string | Buffer = ''): string {
    return execFileSync('git', ['--git-dir', this.path, ...args], {
      env: this.env,
      input,
      encoding: 'utf8',
      maxBuffer: 1e9,
      stdio: ['pipe', 'pipe', 'inherit'],
    }).trimEnd();
  }

  blob(content: string | Buffer): string {
    return this.git(['hash-object', '-w', '--stdin'], content);
  }

  /** A tree of `mode hash name` entries, whatever git thinks of the names. */
  tree(entries: ReadonlyArray<readonly [mode: string, hash: string, name: string]>): string {
    const body = Buffer.concat(
      entries.map(([mode, hash, name]) =>
        Buffer.concat([Buffer.from(`${mode} ${name}\0`), Buffer.from(hash, 'hex')]),
      ),
    );
    return this.git(['hash-object', '-t', 'tree', '-w', '--stdin', '--literally'], body);
  }

  /** Commits a tree on top of a branch, and moves it. */
  commitTree(tree: string, branch = 'main'): string {
    const parent = this.tip(branch);
    const commit = this.git([
      'commit-tree',
      ...(parent === undefined ? [] : ['-p', parent]),
      '-m',
      'commit',
      tree,
    ]);
    this.git(['update-ref', `refs/heads/${branch}`, commit]);
    return commit;
  }

  tip(branch: string): string | undefined {
    const listed = this.git(['for-each-ref', '--format=%(objectname)', `refs/heads/${branch}`]);
    return listed === '' ? undefined : listed;
  }

  /** Commits these files (all of them executable) and links (`-> target`), and nothing else. */
  commit(files: Readonly<Record<string, string | Buffer>>, branch = 'main'): string {
    const index = join(dirname(this.path), `index-${process.hrtime.bigint()}`);
    const lines = Object.entries(files).map(([path, content]) => {
      const isLink = typeof content === 'string' && content.startsWith('-> ');
      const hash = this.blob(isLink ? content.slice(3) : content);
      return `${isLink ? '120000' : '100755'} ${hash}\t${path}`;
    });
    const env = { ...this.env, GIT_INDEX_FILE: index };
    execFileSync('git', ['--git-dir', this.path, 'update-index', '--add', '--index-info'], {
      env,
      input: lines.join('\n'),
    });
    const tree = execFileSync('git', ['--git-dir', this.path, 'write-tree'], { env, encoding: 'utf8' });
    return this.commitTree(tree.trim(), branch);
  }

  setting(name: string, value: string): void {
    this.git(['config', name, value]);
  }
}

/** Files of a Secret as the kubelet mounts them. */
export const mountSecret = (folder: string, data: Readonly<Record<string, string>>): string => {
  mkdirSync(folder, { recursive: true });
  for (const [key, value] of Object.entries(data)) writeFileSync(join(folder, key), value, { mode: 0o440 });
  return folder;
};
